using System.Text.Json;
using ModelOps.Client;

namespace ModelOps.Cli.Quickstart;

/// <param name="System">The conversation's system prompt.</param>
/// <param name="Expected">What the row answers.</param>
internal sealed record HeldOutQuestion(string? System, string Question, string Expected);

/// <summary>A few rows that the model has not learned from, to try it on.</summary>
internal static class HeldOutQuestions
{
    private const int RowsRead = 50;
    private const int LongestQuestion = 400;

    private static readonly string[] heldOut = ["test", "validation"];

    /// <summary>The split to measure on: test, or validation or train where the one before has no row.</summary>
    public static string SplitOf(DatasetVersion dataset) =>
        heldOut.FirstOrDefault(split => dataset.Rows.GetValueOrDefault(split) > 0) ?? "train";

    /// <summary>The first turns of the split's first conversations, where they begin with a short question; fewer, or none, when there are no more.</summary>
    public static async Task<IReadOnlyList<HeldOutQuestion>> ReadAsync(
        ModelOpsClient client, string dataset, DatasetVersion version, int count, CancellationToken cancellationToken)
    {
        var query = new QueryDataset { Sql = $"SELECT messages FROM {SplitOf(version)} LIMIT {RowsRead}", Version = version.Version };
        var result = await client.Datasets.QueryAsync(dataset, query, cancellationToken);
        return [.. result.Rows.Select(Of).OfType<HeldOutQuestion>().DistinctBy(asked => asked.Question).Take(count)];
    }

    /// <summary>Null where the conversation begins otherwise, for example with a call of a tool.</summary>
    internal static HeldOutQuestion? Of(JsonElement row)
    {
        var turns = row.GetProperty("messages").EnumerateArray().Take(3).ToList();
        var system = turns is [var first, ..] && Text(first, "role") == "system" ? Text(first, "content") : null;
        return turns[(system is null ? 0 : 1)..] is [var user, var assistant, ..] && Text(user, "role") == "user" && Text(assistant, "role") == "assistant"
            && Text(user, "content") is { Length: > 0 and <= LongestQuestion } question && Text(assistant, "content") is { Length: > 0 } answer
                ? new(system, question, answer)
                : null;
    }

    private static string? Text(JsonElement turn, string name) =>
        turn.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;
}
