using System.Text.Json;
using System.Text.Json.Serialization;
using ModelOps.Client;
using ModelOps.Studio.Datasets;
using ModelOps.Studio.Shell;

namespace ModelOps.Studio.Playground;

/// <summary>A row of the task preference: of two answers to one prompt the better one.</summary>
public sealed record PreferencePair(IReadOnlyList<ChatMessage> Prompt, string Chosen, string Rejected)
{
    private const string TaskName = "preference";

    /// <returns>Those that this person has chosen in this tab and not saved.</returns>
    internal static async Task<List<PreferencePair>> KeptAsync(Browser browser, string person) =>
        JsonSerializer.Deserialize(await browser.KeptAsync(KeyOf(person), otherwise: "[]"), PreferenceJson.Default.ListPreferencePair)!;

    /// <returns>false: the browser has no room for them.</returns>
    internal static Task<bool> KeepAsync(Browser browser, string person, List<PreferencePair> pairs) =>
        browser.KeepAsync(KeyOf(person), pairs.Count == 0 ? null : JsonSerializer.Serialize(pairs, PreferenceJson.Default.ListPreferencePair));

    /// <summary>Starts the job that makes them the next version of a dataset, behind the rows of its newest one.</summary>
    /// <param name="owner">Whose file the rows are while they are on their way.</param>
    /// <exception cref="ModelOpsException">The dataset has rows of another task, or the API refuses.</exception>
    internal static async Task<Job> SaveAsync(
        ModelOpsClient api, Uploads files, string owner, string dataset, IReadOnlyList<PreferencePair> pairs, CancellationToken cancellationToken)
    {
        var newest = await NewestAsync(api, dataset, cancellationToken);
        using var rows = new MemoryStream();
        if (newest is not null) await CopyAsync(api, dataset, newest, rows, cancellationToken);
        foreach (var pair in pairs) Write(rows, JsonSerializer.SerializeToUtf8Bytes(pair, PreferenceJson.Default.PreferencePair));
        rows.Position = 0;
        var name = newest is null ? $"{pairs.Count}-from-playground.jsonl" : $"{dataset}@{newest.Version}-and-{pairs.Count}-from-playground.jsonl";
        var file = await files.AddAsync(owner, name, rows, cancellationToken);
        try
        {
            var options = (newest?.Report?.Options ?? new IngestionOptions()) with { Format = "jsonl", Shape = TaskName, Map = null, MaxBad = "0" };
            return await api.Datasets.CreateVersionAsync(dataset, files.PathOf(file, owner)!, options, progress: null, cancellationToken);
        }
        finally
        {
            files.Remove(file);
        }
    }

    private static async Task<DatasetVersion?> NewestAsync(ModelOpsClient api, string dataset, CancellationToken cancellationToken)
    {
        if (!(await api.Datasets.ListAsync(cancellationToken)).Any(one => one.Name == dataset)) return null;
        var newest = (await api.Datasets.GetAsync(dataset, cancellationToken: cancellationToken)).Versions[^1];
        return newest.Task == TaskName ? newest : throw new ModelOpsException(new Problem
        {
            Type = ProblemTypes.Invalid,
            Title = "The dataset has other rows",
            Detail = $"{dataset} has rows for {newest.Task}, not for {TaskName}: take another name.",
        });
    }

    private static async Task CopyAsync(ModelOpsClient api, string dataset, DatasetVersion version, Stream target, CancellationToken cancellationToken)
    {
        foreach (var split in version.Rows.Where(split => split.Value > 0).Select(split => split.Key))
        {
            var query = new QueryDataset { Sql = $"SELECT prompt, chosen, rejected, tools FROM {split} ORDER BY source_line", Version = version.Version };
            do
            {
                var page = await api.Datasets.QueryAsync(dataset, query, cancellationToken);
                foreach (var row in page.Rows) Write(target, JsonSerializer.SerializeToUtf8Bytes(row, PreferenceJson.Default.JsonElement));
                query = query with { Cursor = page.Next };
            }
            while (query.Cursor is not null);
        }
    }

    private static void Write(Stream target, ReadOnlySpan<byte> row)
    {
        target.Write(row);
        target.WriteByte((byte)'\n');
    }

    private static string KeyOf(string person) => $"modelops-pairs:{person}";
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(List<PreferencePair>))]
[JsonSerializable(typeof(JsonElement))]
internal sealed partial class PreferenceJson : JsonSerializerContext;
