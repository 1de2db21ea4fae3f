using ModelOps.Ggml;
using ModelOps.ModelFiles;
using ModelOps.ModelFiles.ChatTemplates;
using ModelOps.ModelFiles.Conversion;
using ModelOps.Quantization;
using ModelOps.Registry;
using ModelOps.Tables.Datasets;
using ModelOps.Worker.Hosting;
using ModelOps.Workflows;

namespace ModelOps.Worker.Activities;

internal sealed class QuantizeModelActivity(
    VerifiedArtifacts artifacts, PreparedModels preparedModels, BlobStore blobs, Hosting.Tables tables, WorkerOptions options, TimeProvider time)
{
    private const string ReportFile = "quantization-report.json";

    public async Task<QuantizedModel> RunAsync(QuantizeModel input, IProgress<ActivityProgress> progress, CancellationToken cancellationToken)
    {
        if (!Enum.TryParse<QuantizationType>(input.Type, out var type))
            throw new ActivityException(ActivityFailures.QuantizationFailed, $"this worker knows no quantization type {input.Type}");
        try
        {
            var prepared = await preparedModels.GetAsync(input, folder => PrepareAsync(input, folder, progress, cancellationToken));
            return await QuantizeAsync(input, prepared, type, progress, cancellationToken);
        }
        finally
        {
            if (!input.More || cancellationToken.IsCancellationRequested) preparedModels.Release(); // nobody may come for it again
        }
    }

    private async Task<PreparedModel> PrepareAsync(QuantizeModel input, string folder, IProgress<ActivityProgress> progress, CancellationToken cancellationToken)
    {
        progress.Report(ActivityProgress.Of("verifying"));
        var request = new PreparationRequest
        {
            Source = await SourceAsync(input, cancellationToken),
            Conversations = await ConversationsAsync(input.Dataset, "validation", input.Rows, cancellationToken),
            Calibration = await CalibrationAsync(input, cancellationToken),
            Folder = folder,
            Threads = options.Threads,
        };
        try
        {
            return await Task.Run(() => GgufQuantization.Prepare(request, stage => progress.Report(ActivityProgress.Of(stage)), cancellationToken), cancellationToken);
        }
        catch (ParityException e)
        {
            throw new ActivityException(ActivityFailures.ParityFailed, e.Message, cause: e);
        }
        catch (Exception e) when (e is InvalidModelFileException or GgmlException)
        {
            throw new ActivityException(ActivityFailures.InvalidInput, e.Message, cause: e);
        }
    }

    private async Task<QuantizedModel> QuantizeAsync(
        QuantizeModel input, PreparedModel prepared, QuantizationType type, IProgress<ActivityProgress> progress, CancellationToken cancellationToken)
    {
        using var scratch = new ScratchFolder(options);
        var gguf = Path.Combine(scratch.Path, $"{input.Name}.{type}.gguf");
        try
        {
            var outcome = await Task.Run(
                () => GgufQuantization.Quantize(
                    prepared, type, gguf, options.Threads, time, stage => progress.Report(ActivityProgress.Of(stage)), cancellationToken),
                cancellationToken);
            var report = new QuantizationReport(type, outcome, prepared.Parity, Importance(input, prepared));
            report.Save(Path.Combine(scratch.Path, ReportFile));
            if (prepared.Importance is { } importance)
                ImportanceMatrixFile.Write(Path.Combine(scratch.Path, ImportanceMatrixFile.Name), importance, $"{input.Importance!.Name}@{input.Importance.Version}", cancellationToken);
            progress.Report(ActivityProgress.Of($"storing {type}"));
            return ToResult(await StoreAsync(scratch.Path, cancellationToken), outcome, prepared.Parity);
        }
        catch (GgmlException e)
        {
            throw new ActivityException(ActivityFailures.QuantizationFailed, e.Message, cause: e);
        }
    }

    /// <summary>A model's folder has its configuration; what was imported as GGUF has the file alone.</summary>
    private async Task<QuantizationSource> SourceAsync(QuantizeModel input, CancellationToken cancellationToken)
    {
        var folder = await artifacts.FolderAsync(input.Base, FileChecks.Remembered, cancellationToken);
        if (!File.Exists(Path.Combine(folder, ModelConfig.FileName)) && GgufFiles.ModelIn(folder) is { } gguf) return new QuantizationSource.Gguf(gguf);
        return new QuantizationSource.Trained(
            folder,
            input.Adapter is { } adapter ? await artifacts.FolderAsync(adapter, FileChecks.Remembered, cancellationToken) : null,
            new GgufDescription
            {
                Name = input.Name,
                License = input.License,
                QuantizedBy = "ModelOps",
                BaseModels = [new GgufSource(input.Base.Name) { Version = input.Base.Version }],
                Datasets = input.Dataset is { } dataset ? [new GgufSource(dataset.Name) { Version = dataset.Version }] : [],
            });
    }

    private async Task<IReadOnlyList<IReadOnlyList<ChatMessage>>> CalibrationAsync(QuantizeModel input, CancellationToken cancellationToken)
    {
        var rows = await ConversationsAsync(input.Importance, "train", input.ImportanceRows, cancellationToken);
        return input.Importance is null || rows.Count > 0
            ? rows
            : throw new ActivityException(
                ActivityFailures.InvalidInput, $"the split train of {input.Importance.Name}@{input.Importance.Version} has no row: an importance matrix needs some");
    }

    private async Task<IReadOnlyList<IReadOnlyList<ChatMessage>>> ConversationsAsync(DatasetReference? dataset, string split, int rows, CancellationToken cancellationToken)
    {
        if (dataset is null || !dataset.TableVersions.TryGetValue(split, out var version)) return [];
        var read = DatasetReader.ReadAsync(tables.Store, dataset.Name, split, version, cancellationToken);
        return [.. (await read.Take(rows).ToListAsync(cancellationToken)).Select(ToolText.Messages).Where(messages => messages.Count > 0)];
    }

    private static ImportanceSource? Importance(QuantizeModel input, PreparedModel prepared) => prepared.Importance is { } importance
        ? new($"{input.Importance!.Name}@{input.Importance.Version}", importance.Texts, importance.Tokens)
        : null;

    private async Task<IReadOnlyList<StoredFile>> StoreAsync(string folder, CancellationToken cancellationToken)
    {
        var files = new List<StoredFile>();
        foreach (var path in Directory.EnumerateFiles(folder).Order(StringComparer.Ordinal))
        {
            var stored = await blobs.PutFileAsync(path, cancellationToken);
            files.Add(new(Path.GetFileName(path), stored.Size, stored.Sha256));
        }
        return files;
    }

    private static QuantizedModel ToResult(IReadOnlyList<StoredFile> files, QuantizationOutcome outcome, ParityResult? parity)
    {
        var (quality, speed) = (outcome.Quality, outcome.Speed);
        return new(
            files,
            outcome.Summary.Size,
            outcome.Summary.BitsPerWeight,
            parity is null ? null : new Parity(parity.Prompts, parity.Tokens, parity.MaxLogitDifference, parity.Tolerance, parity.TokenAgreement),
            [.. outcome.Summary.Fallbacks.Select(fallback => new TypeFallback(fallback.Tensor, fallback.WantedType, fallback.Type))],
            new QuantizationQuality(
                quality.Texts, quality.Tokens, quality.SourcePerplexity, quality.Perplexity,
                quality.KlDivergence, quality.KlDivergenceP99, quality.KlDivergenceMax, quality.TopOneAgreement),
            new QuantizationSpeed(speed.PromptTokensPerSecond, speed.DecodeTokensPerSecond, speed.PromptTokens, speed.Threads));
    }
}
