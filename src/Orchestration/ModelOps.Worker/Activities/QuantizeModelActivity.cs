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

internal sealed class QuantizeModelActivity(VerifiedArtifacts artifacts, BlobStore blobs, Hosting.Tables tables, WorkerOptions options)
{
    private const int Conversations = 8;

    public async Task<QuantizedModel> RunAsync(QuantizeModel input, IProgress<ActivityProgress> progress, CancellationToken cancellationToken)
    {
        if (!Enum.TryParse<QuantizationType>(input.Type, out var type))
            throw new ActivityException(ActivityFailures.InvalidInput, $"there is no quantization type {input.Type}");
        progress.Report(ActivityProgress.Of("verifying"));
        using var scratch = new ScratchFolder(options);
        var file = $"{input.Name}.{input.Type}.gguf";
        var request = new QuantizationRequest
        {
            Base = await artifacts.FolderAsync(input.Base, FileChecks.Remembered, cancellationToken),
            Adapter = input.Adapter is { } adapter ? await artifacts.FolderAsync(adapter, FileChecks.Remembered, cancellationToken) : null,
            Type = type,
            Description = new GgufDescription
            {
                Name = input.Name,
                QuantizedBy = "ModelOps",
                BaseModels = [new GgufSource(input.Base.Name) { Version = input.Base.Version }],
                Datasets = input.Dataset is { } dataset ? [new GgufSource(dataset.Name) { Version = dataset.Version }] : [],
            },
            Conversations = await ConversationsAsync(input.Dataset, cancellationToken),
            Output = Path.Combine(scratch.Path, file),
            Scratch = scratch.Path,
            Threads = options.Threads,
        };
        try
        {
            var outcome = await Task.Run(
                () => GgufQuantization.Run(request, stage => progress.Report(ActivityProgress.Of(stage)), cancellationToken), cancellationToken);
            progress.Report(ActivityProgress.Of("storing"));
            var stored = await blobs.PutFileAsync(request.Output, cancellationToken);
            return new(
                [new StoredFile(file, stored.Size, stored.Sha256)],
                stored.Size,
                outcome.Summary.BitsPerWeight,
                new Parity(
                    outcome.Parity.Prompts,
                    outcome.Parity.Tokens,
                    outcome.Parity.MaxLogitDifference,
                    ParityResult.Tolerance,
                    outcome.Parity.TopOneAgreement,
                    outcome.Parity.KlDivergence));
        }
        catch (ParityException e)
        {
            throw new ActivityException(ActivityFailures.ParityFailed, e.Message, cause: e);
        }
        catch (InvalidModelFileException e)
        {
            throw new ActivityException(ActivityFailures.InvalidInput, e.Message, cause: e);
        }
    }

    private async Task<IReadOnlyList<IReadOnlyList<ChatMessage>>> ConversationsAsync(DatasetReference? dataset, CancellationToken cancellationToken)
    {
        if (dataset is null) return [];
        var rows = DatasetReader.ReadAsync(tables.Store, dataset.Name, "validation", dataset.TableVersions["validation"], cancellationToken);
        return
        [
            .. (await rows.Take(Conversations).ToListAsync(cancellationToken))
                .Select(ToolText.Messages),
        ];
    }
}
