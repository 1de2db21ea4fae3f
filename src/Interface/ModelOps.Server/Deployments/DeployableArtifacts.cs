using ModelOps.Registry;
using ModelOps.Server.Artifacts;

namespace ModelOps.Server.Deployments;

/// <summary>Whether artifacts may be deployed: they verify, are of the right kind and stage, and an adapter was trained on the model that it is to change.</summary>
public sealed class DeployableArtifacts(ArtifactRegistry registry, ArtifactRefusals refusals, DeploymentOptions options)
{
    /// <summary>Verifies a model and its adapters; all faults are told at once.</summary>
    /// <param name="adapters">Artifacts by the name of the adapter.</param>
    public async Task<Deployable> CheckAsync(string model, IReadOnlyDictionary<string, string> adapters, string by, CancellationToken cancellationToken)
    {
        var faults = new List<string>();
        var gates = new List<string>();
        var verified = new Dictionary<string, VerifiedArtifact>(StringComparer.Ordinal);
        foreach (var (name, reference) in adapters.Prepend(new("", model)))
        {
            switch (await registry.UseAsync(reference, cancellationToken))
            {
                case ArtifactLoad.Verified { Artifact: var artifact }:
                    verified[name] = artifact;
                    gates.AddRange(await GatesAsync(artifact.Manifest.Reference, cancellationToken));
                    break;
                case ArtifactLoad.Refused refused:
                    await refusals.RecordAsync(by, "deploy", refused.Failure.ToString(), cancellationToken);
                    return new Deployable.Refused(refused.Failure.ToString());
                default:
                    return new Deployable.NotFound(reference);
            }
        }
        var served = verified[""];
        verified.Remove("");
        if (served.Manifest.Kind != ArtifactKinds.Gguf)
            faults.Add($"{served.Manifest.Reference} is a {served.Manifest.Kind}; only a gguf artifact can be served, see 'modelops quantize'");
        else if (verified.Count > 0)
            faults.AddRange(await MismatchesAsync(served.Manifest, verified, cancellationToken));
        if (faults.Count > 0) return new Deployable.Invalid(faults);
        return gates.Count > 0 ? new Deployable.TooLow(gates) : new Deployable.Verified(served, verified);
    }

    private async Task<IEnumerable<string>> GatesAsync(string reference, CancellationToken cancellationToken)
    {
        string[] enough = options.RequiredStage switch
        {
            RequiredStage.Staging => [Stages.Staging, Stages.Production],
            RequiredStage.Production => [Stages.Production],
            _ => [],
        };
        if (enough.Length == 0 || await registry.GetAsync(reference, cancellationToken) is not { } entry || enough.Contains(entry.Stage)) return [];
        return [$"{reference} is in {entry.Stage}; deployments:required_stage wants {string.Join(" or ", enough)}: 'modelops artifacts promote {reference} {enough[0]}'"];
    }

    private async Task<IEnumerable<string>> MismatchesAsync(
        ArtifactManifest model, IReadOnlyDictionary<string, VerifiedArtifact> adapters, CancellationToken cancellationToken)
    {
        var source = await SourceAsync(model, cancellationToken);
        return adapters.Values.Select(adapter => adapter.Manifest).Select(adapter => (adapter.Kind, adapter.Parents.FirstOrDefault(parent => parent.Role == "base")) switch
        {
            (not ArtifactKinds.Adapter, _) => $"{adapter.Reference} is a {adapter.Kind}; only an adapter artifact can be served beside a model",
            (_, null) => $"{adapter.Reference} does not say on which model it was trained",
            (_, { } wanted) when source is null => $"{adapter.Reference} was trained on {wanted.Artifact}; {model.Reference} does not say of which model it was made",
            (_, { } wanted) when wanted.Digest != source.Digest =>
                $"{adapter.Reference} was trained on {wanted.Artifact}; {model.Reference} was made of {source.Artifact}: deploy a gguf of {wanted.Artifact}",
            _ => null,
        }).OfType<string>();
    }

    /// <returns>What the gguf was converted from, through ggufs that were quantized again; null where nothing says it.</returns>
    private async Task<ManifestParent?> SourceAsync(ArtifactManifest model, CancellationToken cancellationToken)
    {
        while (true)
        {
            var source = model.Parents.FirstOrDefault(parent => parent.Role == "source");
            if (source is null || await registry.GetAsync(source.Artifact, cancellationToken) is not { Manifest: { Kind: ArtifactKinds.Gguf } before }) return source;
            model = before;
        }
    }
}

public abstract record Deployable
{
    private Deployable()
    {
    }

    /// <param name="Adapters">By the name of the adapter.</param>
    public sealed record Verified(VerifiedArtifact Model, IReadOnlyDictionary<string, VerifiedArtifact> Adapters) : Deployable;

    public sealed record NotFound(string Reference) : Deployable;

    /// <summary>One of them does not verify.</summary>
    public sealed record Refused(string Reason) : Deployable;

    public sealed record Invalid(IReadOnlyList<string> Faults) : Deployable;

    /// <summary>They have not reached the stage that deployments need.</summary>
    public sealed record TooLow(IReadOnlyList<string> Gates) : Deployable;
}
