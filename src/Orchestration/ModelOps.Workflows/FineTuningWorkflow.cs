using System.Text.Json;
using Temporalio.Workflows;

namespace ModelOps.Workflows;

/// <param name="Model">The base as its user named it.</param>
/// <param name="Base">The same, pinned.</param>
/// <param name="Ingestion">How the training file is read, as ModelOps.Tables defines it.</param>
/// <param name="Recipe">What is said of the training, as ModelOps.Recipes reads it.</param>
/// <param name="Quantization">The type that is served.</param>
/// <param name="Organization">Of the model's name.</param>
/// <param name="Method">As OpenAI's API has it, for whoever asks for the job again.</param>
public sealed record FineTuningInput(
    string Model,
    string Base,
    UploadedFile TrainingFile,
    JsonElement Ingestion,
    JsonElement Recipe,
    string Quantization,
    string Organization,
    JsonElement Method,
    int Seed,
    string CreatedBy)
{
    public UploadedFile? ValidationFile { get; init; }

    /// <summary>As <see cref="Ingestion"/>; there where there is a validation file.</summary>
    public JsonElement? ValidationIngestion { get; init; }

    public string? Suffix { get; init; }

    public IReadOnlyDictionary<string, string>? Metadata { get; init; }
}

/// <param name="Model">The name that it answers under.</param>
/// <param name="Served">The merged and quantized model.</param>
public sealed record FineTuningOutput(
    string Model, PinnedArtifact Served, PinnedArtifact Adapter, PinnedArtifact Dataset, PinnedArtifact? Validation, TrainedAdapter Trained, UploadedFile Results);

/// <summary>ingest the files → train → merge and quantize → keep the course of the training → serve: the steps of the other workflows, as one job.</summary>
[Workflow("FineTuning")]
public sealed class FineTuningWorkflow : JobWorkflow
{
    [WorkflowRun]
    public Task<FineTuningOutput> RunAsync(FineTuningInput input, JobRun run) =>
        RunJobAsync(run, () => StepsAsync(input), ActivityJson.Default.FineTuningOutput);

    private async Task<FineTuningOutput> StepsAsync(FineTuningInput input)
    {
        var model = FineTunedModel.Of(input.Base.Split('@')[0], input.Organization, input.Suffix, Workflow.Info.WorkflowId);
        var name = $"ft-{model.Id}";
        var rows = await IngestAsync($"{name}-training", input.TrainingFile, input.Ingestion, input.CreatedBy);
        var validation = input is { ValidationFile: { } file, ValidationIngestion: { } options } ? await IngestAsync($"{name}-validation", file, options, input.CreatedBy) : null;
        var trained = await SftTrainingWorkflow.StepsAsync(
            this, new SftTrainingInput(input.Base, rows.ToString(), name, input.Recipe, input.CreatedBy) { Validation = validation?.ToString() });
        var quantized = await QuantizationWorkflow.StepsAsync(
            this,
            new QuantizationInput(trained.Artifact.ToString(), $"{name}-gguf", input.CreatedBy) { Types = [input.Quantization], Dataset = validation?.ToString() });
        var results = await RunStepAsync(Activities.StoreTrainingResults, new StoreTrainingResults(input.CreatedBy));
        var served = quantized.Quantized.Single().Artifact;
        var deployed = await RunStepAsync(Activities.DeployModel, new DeployModel(model.ToString(), served, input.CreatedBy));
        return new(deployed.Name, served, trained.Artifact, rows, validation, trained.Trained, results);
    }

    private async Task<PinnedArtifact> IngestAsync(string dataset, UploadedFile file, JsonElement options, string by) =>
        (await DatasetIngestionWorkflow.StepsAsync(this, new DatasetIngestionInput(dataset, file.Content, options, by))).Dataset.Artifact;
}
