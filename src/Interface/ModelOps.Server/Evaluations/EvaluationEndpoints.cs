using System.Text.Json;
using ModelOps.Client;
using ModelOps.Recipes;
using ModelOps.Registry;
using ModelOps.Server.Jobs;
using ModelOps.Server.Security;
using ModelOps.Server.Workers;
using ModelOps.Workflows;

namespace ModelOps.Server.Evaluations;

/// <summary>Starts evaluation jobs; what can be known to be wrong is refused before a job exists.</summary>
public static class EvaluationEndpoints
{
    private const int LongestName = 96;
    private static readonly string[] splits = ["train", "validation", "test"];

    public static void MapEvaluations(this IEndpointRouteBuilder api) => api.MapPost("/evaluations", CreateAsync).WithTags("evaluation")
        .WithName("createEvaluation").WithSummary("Starts a job that measures a model or an adapter on a dataset, beside its base.").Produces<Job>(StatusCodes.Status202Accepted);

    private static async Task<IResult> CreateAsync(
        CreateEvaluation create, WorkerPlugins plugins, JobService jobs, JobReferences references, HttpContext context, CancellationToken cancellationToken)
    {
        var artifact = await references.PinAsync(create.Artifact, cancellationToken);
        var name = create.Name ?? NameOf(artifact);
        List<string> errors = [.. ManifestRules.CheckName(name)];
        if (!splits.Contains(create.Split, StringComparer.Ordinal)) errors.Add($"split '{create.Split}' is unknown; there are {string.Join(", ", splits)}");
        if (create.Rows < 1) errors.Add($"rows must be at least 1, not {create.Rows}");
        if (create.MaxTokens < 1) errors.Add($"max_tokens must be at least 1, not {create.MaxTokens}");
        errors.AddRange(BuiltInAlgorithms.FaultsOf("metric", create.Metrics, BuiltInAlgorithms.Metrics, plugins.Any));
        if (errors.Count > 0) return Problems.Invalid(errors);
        var input = new EvaluationInput(
            artifact,
            create.Against is { } against ? await references.PinAsync(against, cancellationToken) : null,
            await references.PinDatasetAsync(create.Dataset, cancellationToken),
            create.Split,
            create.Metrics,
            create.Rows,
            create.MaxTokens,
            create.Seed,
            name,
            context.User.Identity!.Name!);
        var json = JsonSerializer.SerializeToElement(input, ActivityJson.Default.EvaluationInput);
        return JobEndpoints.Accepted(await jobs.CreateAsync(JobKinds.Evaluate, json, create.Priority, context.Principal(), cancellationToken));
    }

    /// <summary>The candidate's with <c>-eval</c> behind it.</summary>
    private static string NameOf(string artifact)
    {
        const string Suffix = "-eval";
        var name = artifact.Split('@', ':')[0];
        return name[..Math.Min(name.Length, LongestName - Suffix.Length)] + Suffix;
    }
}
