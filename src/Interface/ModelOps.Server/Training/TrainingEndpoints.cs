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
        var errors = Errors(create);
        if (errors.Count > 0) return Problems.Invalid(errors);
        var input = new QuantizationInput(await references.PinAsync(create.Artifact, cancellationToken), create.Name, context.User.Identity!.Name!)
        {
            Types = create.Types,
            Dataset = create.Dataset is { } dataset ? await references.PinDatasetAsync(dataset, cancellationToken) : null,
            Rows = create.Rows,
            Importance = create.Importance is { } importance ? await references.PinDatasetAsync(importance, cancellationToken) : null,
            ImportanceRows = create.ImportanceRows,
        };
        var json = JsonSerializer.SerializeToElement(input, ActivityJson.Default.QuantizationInput);
        return JobEndpoints.Accepted(await jobs.CreateAsync(JobKinds.Quantize, json, create.Priority, context.Principal(), cancellationToken));
    }

    private static List<string> Errors(CreateQuantization create)
    {
        List<string> errors = [.. create.Types.SelectMany(type => ManifestRules.CheckName(QuantizationWorkflow.NameOf(create.Name, type, create.Types.Count))).Distinct()];
        if (create.Types.Count == 0) errors.Add("types must name at least one type");
        foreach (var type in create.Types.Except(QuantizationTypes.All, StringComparer.Ordinal))
            errors.Add($"type '{type}' is unknown; known are {string.Join(", ", QuantizationTypes.All)}");
        foreach (var type in create.Types.GroupBy(type => type, StringComparer.Ordinal).Where(group => group.Count() > 1)) errors.Add($"type '{type.Key}' is named twice");
        if (create.Importance is null && create.Types.Intersect(QuantizationTypes.ThatNeedImportance, StringComparer.Ordinal).ToList() is { Count: > 0 } needing)
            errors.Add($"{string.Join(", ", needing)} need{(needing.Count == 1 ? "s" : "")} an importance matrix: name a dataset to compute it from (importance, --imatrix)");
        if (create.Rows < 1) errors.Add($"rows must be at least 1, not {create.Rows}");
        if (create.ImportanceRows < 1) errors.Add($"importance_rows must be at least 1, not {create.ImportanceRows}");
        if (create.ImportanceRows is not null && create.Importance is null) errors.Add("importance_rows says nothing without importance");
        return errors;
    }
}
