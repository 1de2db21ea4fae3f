using System.Runtime.CompilerServices;
using System.Text.Json;
using ModelOps.Cli.Output;

namespace ModelOps.Cli.Quickstart;

/// <summary>A few of the questions that a data file asks, to try the model on.</summary>
internal static class SampleQuestions
{
    // Enough to find a few questions; a large file is not read through.
    private const int RowsRead = 200;

    private const int LongestQuestion = 400;

    /// <summary>The first distinct questions of the file's first rows; rows that ask none are passed over. Fewer, or none, when there are no more.</summary>
    public static async Task<IReadOnlyList<string>> ReadAsync(string path, int count, CancellationToken cancellationToken)
    {
        await using var stream = File.OpenRead(path);
        var rows = Path.GetExtension(path).Equals(".json", StringComparison.OrdinalIgnoreCase)
            ? ReadArrayAsync(stream, cancellationToken)
            : ReadLinesAsync(stream, cancellationToken);
        return await rows
            .Take(RowsRead)
            .Select(QuestionOf)
            .Where(question => question is { Length: > 0 and <= LongestQuestion })
            .Select(question => question!)
            .Distinct(StringComparer.Ordinal)
            .Take(count)
            .ToListAsync(cancellationToken);
    }

    /// <summary>The first user turn of a chat row, or the prompt of an Alpaca or prompt row; null when it is neither.</summary>
    internal static string? QuestionOf(JsonElement row)
    {
        if (row.ValueKind != JsonValueKind.Object)
        {
            return null;
        }
        if (row.TryGetProperty("messages", out var messages) && messages.ValueKind == JsonValueKind.Array)
        {
            return messages.EnumerateArray().Where(turn => Text(turn, "role") == "user").Select(turn => Text(turn, "content")).FirstOrDefault();
        }
        if (Text(row, "instruction") is { } instruction)
        {
            return Text(row, "input") is { Length: > 0 } input ? $"{instruction}\n{input}" : instruction;
        }
        return Text(row, "prompt") ?? Text(row, "question");
    }

    /// <summary>The rows of a JSON array; it ends early where the file is not one, for the server has accepted what matters.</summary>
    private static async IAsyncEnumerable<JsonElement> ReadArrayAsync(Stream stream, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await using var rows = JsonSerializer.DeserializeAsyncEnumerable(stream, CliJson.Default.JsonElement, cancellationToken)
            .GetAsyncEnumerator(cancellationToken);
        while (await MoveNextAsync())
        {
            yield return rows.Current;
        }

        async ValueTask<bool> MoveNextAsync()
        {
            try
            {
                return await rows.MoveNextAsync();
            }
            catch (JsonException)
            {
                return false;
            }
        }
    }

    private static async IAsyncEnumerable<JsonElement> ReadLinesAsync(Stream stream, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        using var reader = new StreamReader(stream);
        while (await reader.ReadLineAsync(cancellationToken) is { } line)
        {
            if (TryParse(line) is { } row)
            {
                yield return row;
            }
        }
    }

    private static JsonElement? TryParse(string line)
    {
        try
        {
            return JsonSerializer.Deserialize(line, CliJson.Default.JsonElement);
        }
        catch (JsonException)
        {
            return null; // the ingestion has counted it among the rejected rows
        }
    }

    private static string? Text(JsonElement element, string name) =>
        element.ValueKind == JsonValueKind.Object && element.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String
            ? value.GetString()
            : null;
}
