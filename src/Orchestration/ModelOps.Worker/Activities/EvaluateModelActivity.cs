using System.Security.Cryptography;
using System.Text.Json;
using System.Text.Json.Nodes;
using ModelOps.ModelFiles;
using ModelOps.ModelFiles.ChatTemplates;
using ModelOps.Registry;
using ModelOps.Tables.Datasets;
using ModelOps.Tables.Evaluations;
using ModelOps.Training;
using ModelOps.Training.Evaluations;
using ModelOps.Training.Plugins;
using ModelOps.Worker.Hosting;
using ModelOps.Workflows;

namespace ModelOps.Worker.Activities;

internal sealed class EvaluateModelActivity(
    VerifiedArtifacts artifacts, BlobStore blobs, Hosting.Tables tables, AlgorithmRegistry algorithms, WorkerOptions options, TimeProvider time)
{
    private const string ReportFile = "evaluation.json";

    public async Task<EvaluatedModel> RunAsync(EvaluateModel input, IProgress<ActivityProgress> progress, CancellationToken cancellationToken)
    {
        var started = time.GetTimestamp();
        progress.Report(ActivityProgress.Of("verifying"));
        try
        {
            var (rows, skipped) = await RowsAsync(input, cancellationToken);
            var evaluation = new EvaluationOptions
            {
                Metrics = MetricSelection.Of(input.Metrics, rows, algorithms),
                MaxTokens = input.MaxTokens ?? EvaluationOptions.DefaultMaxTokens,
                Threads = options.Threads,
            };
            var candidate = await MeasureAsync(input.Candidate, "candidate", rows, evaluation, progress, cancellationToken);
            var @base = input.Against is { } against ? await MeasureAsync(against, "base", rows, evaluation, progress, cancellationToken) : null;
            var report = EvaluationReport.Of(evaluation.Metrics.Names, candidate, @base, input.Seed);
            if (report.Metrics.Count == 0)
                throw new EvaluationFailedException($"nothing could be measured in the {rows.Count} rows: their prompts are longer than the model takes, or its chat template refuses them");
            var settings = Settings(input, evaluation, rows.Count);

            progress.Report(ActivityProgress.Of("storing"));
            var table = await EvaluationTable.WriteAsync(tables.Store, input.Job, [.. evaluation.Metrics.Names], TableRows(rows, candidate, @base), @base is not null, cancellationToken);
            var file = await StoreAsync(new JsonObject { ["settings"] = Node(settings), ["report"] = Node(report.ToJson()), ["rows"] = rows.Count, ["skipped_rows"] = skipped }, cancellationToken);
            return new(
                report.ToJson(), [file], settings, Flat(report), table.Path, table.Version, rows.Count, skipped, time.GetElapsedTime(started).TotalSeconds);
        }
        catch (Exception e) when (e is EvaluationFailedException or InvalidModelFileException)
        {
            throw new ActivityException(ActivityFailures.InvalidInput, e.Message, cause: e);
        }
        catch (PluginException e)
        {
            throw new ActivityException(ActivityFailures.PluginFailed, e.Message, cause: e);
        }
    }

    private async Task<(IReadOnlyList<EvaluationExample> Rows, int Skipped)> RowsAsync(EvaluateModel input, CancellationToken cancellationToken)
    {
        var dataset = input.Dataset;
        if (!dataset.TableVersions.TryGetValue(input.Split, out var version))
            throw new EvaluationFailedException($"the dataset {dataset.Name}@{dataset.Version} has no split {input.Split}; it has {string.Join(", ", dataset.TableVersions.Keys)}");
        var read = DatasetReader.ReadAsync(tables.Store, dataset.Name, input.Split, version, cancellationToken);
        var examples = await (input.Rows is { } count ? read.Take(count) : read).Select(row => Example(row, dataset)).ToListAsync(cancellationToken);
        var rows = examples.OfType<EvaluationExample>().ToList();
        return rows.Count > 0
            ? (rows, examples.Count - rows.Count)
            : throw new EvaluationFailedException($"the split {input.Split} of {dataset.Name}@{dataset.Version} has no row with an answer of the assistant");
    }

    /// <summary>The chosen answer of a preference is its reference, and it is a choice between the two.</summary>
    private static EvaluationExample? Example(DatasetExample row, DatasetReference dataset)
    {
        if (row.Task == DatasetTask.Sft) return EvaluationExample.OfConversation(row.Id, ToolText.Messages(row));
        if (row.Task != DatasetTask.Preference)
            throw new EvaluationFailedException($"the dataset {dataset.Name}@{dataset.Version} has {row.Task} rows; conversations (sft) and preferences can be evaluated");
        var (chosen, rejected) = (row.Content.Parts[1], row.Content.Parts[2]);
        if (chosen.Count != 1 || rejected.Count != 1) return null; // answers of several messages are no texts to compare
        ChatMessage[] prompt = [.. row.Content.Parts[0].Select(message => new ChatMessage(message.Role, message.Content))];
        return new(row.Id, prompt, chosen[0].Content, new([chosen[0].Content, rejected[0].Content], Correct: 0));
    }

    private async Task<IReadOnlyList<RowScores>> MeasureAsync(
        EvaluatedSubject subject,
        string side,
        IReadOnlyList<EvaluationExample> rows,
        EvaluationOptions evaluation,
        IProgress<ActivityProgress> progress,
        CancellationToken cancellationToken)
    {
        var folders = new EvaluationSubject(
            await artifacts.FolderAsync(subject.Base, FileChecks.Remembered, cancellationToken),
            subject.Adapter is { } adapter ? await artifacts.FolderAsync(adapter, FileChecks.Remembered, cancellationToken) : null);
        var reports = new SyncProgress<TrainingProgress>(value => progress.Report(new ActivityProgress($"{side}: {value.Stage}", value.Step, value.Total, value.Metrics)));
        return await ModelEvaluation.RunAsync(folders, rows, evaluation, reports, cancellationToken);
    }

    private static JsonElement Settings(EvaluateModel input, EvaluationOptions evaluation, int rows) => JsonElement.Parse(new JsonObject
    {
        ["dataset"] = $"{input.Dataset.Name}@{input.Dataset.Version}",
        ["split"] = input.Split,
        ["rows"] = rows,
        ["metrics"] = new JsonArray([.. evaluation.Metrics.Likelihood.Select(metric => (JsonNode)metric), .. evaluation.Metrics.Judges.Values.Select(Described)]),
        ["max_tokens"] = evaluation.MaxTokens,
        ["bootstrap"] = new JsonObject { ["resamples"] = Bootstrap.Resamples, ["level"] = Bootstrap.Level, ["seed"] = input.Seed },
    }.ToJsonString());

    private static JsonObject Described(ChosenAlgorithm<MetricPlugin> judge)
    {
        var described = new JsonObject { ["name"] = judge.Plugin.Name };
        if (judge.Options.Count > 0) described["options"] = new JsonObject(judge.Options.Select(option => KeyValuePair.Create(option.Key, (JsonNode?)option.Value)));
        if (judge.Source is { } source) described["plugin"] = new JsonObject { ["name"] = source.Name, ["sha256"] = source.Sha256 };
        return described;
    }

    /// <summary>As manifests have metrics: each by its name, its interval and what it was of the base behind it.</summary>
    private static Dictionary<string, double> Flat(EvaluationReport report)
    {
        var metrics = new Dictionary<string, double>(StringComparer.Ordinal);
        foreach (var metric in report.Metrics)
        {
            Add(metric.Name, metric.Candidate);
            if (metric.Base is { } @base) Add($"{metric.Name}.base", @base);
            if (metric.Difference is { } difference) Add($"{metric.Name}.difference", difference);
        }
        return metrics;

        void Add(string name, MetricEstimate estimate) =>
            (metrics[name], metrics[$"{name}.low"], metrics[$"{name}.high"], metrics[$"{name}.rows"]) = (estimate.Value, estimate.Low, estimate.High, estimate.Rows);
    }

    private static IEnumerable<EvaluatedRow> TableRows(IReadOnlyList<EvaluationExample> rows, IReadOnlyList<RowScores> candidate, IReadOnlyList<RowScores>? @base) =>
        rows.Select((row, index) => new EvaluatedRow(
            row.Id,
            [.. row.Prompt.Select(message => new RowMessage(message.Role, message.Content ?? ""))],
            row.Reference,
            Side(candidate[index]),
            @base is null ? null : Side(@base[index])));

    private static EvaluatedSide Side(RowScores scores) => new(scores.Answer, scores.Values.ToDictionary(value => value.Key, value => value.Value.Value));

    private async Task<StoredFile> StoreAsync(JsonObject report, CancellationToken cancellationToken)
    {
        var bytes = JsonSerializer.SerializeToUtf8Bytes(report);
        var sha256 = Convert.ToHexStringLower(SHA256.HashData(bytes));
        using var content = new MemoryStream(bytes);
        await blobs.PutAsync(sha256, content, cancellationToken);
        return new(ReportFile, bytes.Length, sha256);
    }

    private static JsonNode? Node(JsonElement element) => JsonNode.Parse(element.GetRawText());
}
