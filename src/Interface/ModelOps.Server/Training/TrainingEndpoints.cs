using System.Text.Json;
using ModelOps.Client;
using ModelOps.Recipes;
using ModelOps.Registry;
using ModelOps.Server.Jobs;
using ModelOps.Server.Security;
using ModelOps.Server.Workers;
using ModelOps.Workflows;

namespace ModelOps.Server.Training;

/// <summary>Starts training and quantization jobs; what can be known to be wrong is refused before a job exists.</summary>
public static class TrainingEndpoints
{
    private static readonly string[] quantizationTypes = ["F16", "BF16", "Q8_0", "Q6_K", "Q5_K_M", "Q4_K_M", "Q4_0", "IQ4_NL"];

    public static void MapTraining(this IEndpointRouteBuilder api)
    {
        api.MapPost("/trainings", TrainAsync).WithTags("training")
            .WithName("createTraining").WithSummary("Starts a job that fine-tunes or pretrains a model.").Produces<Job>(StatusCodes.Status202Accepted);
        api.MapPost("/trainings/plan", PlanAsync).WithTags("training")
            .WithName("planTraining").WithSummary("Starts a job that says what the same training would do and take, and trains nothing.").Produces<Job>(StatusCodes.Status202Accepted);
        api.MapTrainingRecords();
        api.MapPost("/quantizations", QuantizeAsync).WithTags("quantization")
            .WithName("createQuantization").WithSummary("Starts a job that merges, converts and quantizes to GGUF.").Produces<Job>(StatusCodes.Status202Accepted);
    }

    private static Task<IResult> TrainAsync(
        CreateTraining create, WorkerPlugins plugins, JobService jobs, JobReferences references, HttpContext context, CancellationToken cancellationToken) =>
        StartAsync(create, recipe => recipe.Method == TrainingMethod.Pretrain ? JobKinds.Pretraining : JobKinds.Sft, plugins, jobs, references, context, cancellationToken);

    private static Task<IResult> PlanAsync(
        CreateTraining create, WorkerPlugins plugins, JobService jobs, JobReferences references, HttpContext context, CancellationToken cancellationToken) =>
        StartAsync(create, _ => JobKinds.TrainingPlan, plugins, jobs, references, context, cancellationToken);

    private static async Task<IResult> StartAsync(
        CreateTraining create, Func<Recipe, string> kindOf, WorkerPlugins plugins, JobService jobs, JobReferences references, HttpContext context, CancellationToken cancellationToken)
    {
        List<string> errors = [.. ManifestRules.CheckName(create.Name)];
        var reading = TrainingRecipes.Read(create, errors);
        var dataset = await references.PinDatasetAsync(create.Dataset, cancellationToken);
        if (reading is not null)
        {
            errors.AddRange(BuiltInAlgorithms.FaultsOf(reading.Recipe, plugins.Any));
            errors.AddRange(await MismatchesAsync(dataset, reading.Recipe.Method, references, cancellationToken));
        }
        if (errors.Count > 0) return Problems.Invalid(errors);
        var input = new SftTrainingInput(
            await references.PinAsync(create.Base, cancellationToken), dataset, create.Name, reading!.Written, context.User.Identity!.Name!);
        var json = JsonSerializer.SerializeToElement(input, ActivityJson.Default.SftTrainingInput);
        return JobEndpoints.Accepted(await jobs.CreateAsync(kindOf(reading.Recipe), json, create.Priority, context.Principal(), cancellationToken));
    }

    private static async Task<IEnumerable<string>> MismatchesAsync(string dataset, TrainingMethod method, JobReferences references, CancellationToken cancellationToken) =>
        await references.TaskOfAsync(dataset, cancellationToken) is { } task && task != TrainingTasks.Of(method) ? [TrainingTasks.Mismatch(dataset, task, method)] : [];

    private static async Task<IResult> QuantizeAsync(CreateQuantization create, JobService jobs, JobReferences references, HttpContext context, CancellationToken cancellationToken)
    {
        List<string> errors = [.. ManifestRules.CheckName(create.Name)];
        if (!quantizationTypes.Contains(create.Type, StringComparer.Ordinal))
            errors.Add($"type '{create.Type}' is unknown; known are {string.Join(", ", quantizationTypes)}");
        if (errors.Count > 0) return Problems.Invalid(errors);
        var input = new QuantizationInput(await references.PinAsync(create.Artifact, cancellationToken), create.Type, create.Name, context.User.Identity!.Name!);
        var json = JsonSerializer.SerializeToElement(input, ActivityJson.Default.QuantizationInput);
        return JobEndpoints.Accepted(await jobs.CreateAsync(JobKinds.Quantize, json, create.Priority, context.Principal(), cancellationToken));
    }
}
