using Microsoft.EntityFrameworkCore;

namespace ModelOps.Registry;

/// <summary>
/// What evaluations say of an artifact, under names that gates can have: <c>eval.METRIC</c> of the newest one, and <c>eval.DATASET.METRIC</c> of the
/// newest one on that dataset. A gguf artifact has the evaluations of what it was made from, for it is that model.
/// </summary>
internal sealed class EvaluationMetrics(ArtifactRegistry registry)
{
    public const string Prefix = "eval.";
    private const string CandidateRole = "candidate";
    private const string DatasetRole = "dataset";
    private const string SourceRole = "source";

    /// <remarks>An evaluation that does not verify, is revoked or archived says nothing.</remarks>
    public async Task<IReadOnlyDictionary<string, double>> OfAsync(MetadataContext context, ArtifactRow artifact, CancellationToken cancellationToken)
    {
        var metrics = new Dictionary<string, double>(StringComparer.Ordinal);
        var evaluated = await EvaluatedAsync(context, artifact, cancellationToken).ConfigureAwait(false);
        var evaluations = await context.Artifacts.AsNoTracking()
            .Where(row => row.Kind == ArtifactKinds.Evaluation && row.Stage != Stages.Archived && row.Parents.Any(parent => parent.Role == CandidateRole && parent.ParentId == evaluated))
            .OrderByDescending(row => row.Id).Select(row => row.Name + "@" + row.Version)
            .ToListAsync(cancellationToken).ConfigureAwait(false);
        HashSet<string> seen = new(StringComparer.Ordinal);
        foreach (var reference in evaluations)
        {
            if (await registry.UseAsync(reference, cancellationToken).ConfigureAwait(false) is not ArtifactLoad.Verified { Artifact.Manifest: var manifest }) continue;
            var dataset = manifest.Parents.FirstOrDefault(parent => parent.Role == DatasetRole)?.Artifact.Split('@')[0];
            if (seen.Count == 0) Add(Prefix, manifest);
            if (seen.Add(dataset ?? "")) Add($"{Prefix}{dataset}.", manifest);
        }
        return metrics;

        void Add(string prefix, ArtifactManifest manifest)
        {
            foreach (var (name, value) in manifest.Metrics) metrics.TryAdd(prefix + name, value);
        }
    }

    private static async Task<long> EvaluatedAsync(MetadataContext context, ArtifactRow artifact, CancellationToken cancellationToken)
    {
        if (artifact.Kind != ArtifactKinds.Gguf) return artifact.Id;
        var sources = await context.Artifacts.Where(row => row.Id == artifact.Id).SelectMany(row => row.Parents)
            .Where(parent => parent.Role == SourceRole).Select(parent => parent.ParentId).ToListAsync(cancellationToken).ConfigureAwait(false);
        return sources is [var source] ? source : artifact.Id;
    }
}
