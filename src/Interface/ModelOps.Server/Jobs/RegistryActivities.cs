using System.Text.Json;
using System.Text.Json.Nodes;
using ModelOps.Registry;
using ModelOps.Server.Datasets;
using ModelOps.Server.Workflows;
using ModelOps.Workflows;
using Temporalio.Activities;

namespace ModelOps.Server.Jobs;

/// <summary>The control activities: everything that reads or writes metadata for a workflow.</summary>
public sealed class RegistryActivities(ArtifactRegistry registry, DatasetCatalog datasets, AuditLog audit, TimeProvider time) : IControlActivities
{
    public IEnumerable<ActivityDefinition> Definitions =>
    [
        ControlActivity.Of(Activities.ResolveArtifact, (_, input, cancellationToken) => ResolveAsync(input, cancellationToken)),
        ControlActivity.Of(Activities.ResolveDataset, (_, input, cancellationToken) => ResolveAsync(input, cancellationToken)),
        ControlActivity.Of(Activities.RegisterArtifact, RegisterAsync),
        ControlActivity.Of(Activities.RecordDatasetVersion, RecordAsync),
    ];

    private async Task<ResolvedArtifact> ResolveAsync(ResolveArtifact input, CancellationToken cancellationToken)
    {
        var artifact = await UseAsync(input.Reference, cancellationToken);
        if (!input.Kinds.Contains(artifact.Manifest.Kind, StringComparer.Ordinal))
            throw new ActivityException(
                ActivityFailures.InvalidInput,
                $"{artifact.Manifest.Reference} is a {artifact.Manifest.Kind}; needed is a {string.Join(" or a ", input.Kinds)}{Hint(artifact.Manifest.Kind)}");
        var parents = artifact.Manifest.Parents;
        var dataset = parents.FirstOrDefault(parent => parent.Role == "dataset");
        var @base = artifact.Manifest.Kind == "adapter" ? parents.Single(parent => parent.Role == "base") : null;
        return new(
            ToReference(artifact.Manifest, artifact.Digest),
            artifact.Manifest.Kind,
            @base is null ? null : ToReference(@base),
            dataset is null ? null : (await ResolveAsync(new ResolveDataset(dataset.Artifact), cancellationToken)).Dataset,
            LicenseOf(artifact.Manifest) ?? (@base is null ? null : LicenseOf((await registry.GetAsync(@base.Artifact, cancellationToken))?.Manifest)));
    }

    private async Task<ResolvedDataset> ResolveAsync(ResolveDataset input, CancellationToken cancellationToken)
    {
        var (name, version) = (await registry.PinAliasAsync(input.Reference, cancellationToken)).Split('@', 2) is [var n, var v] ? (n, v) : (input.Reference, null);
        if (await datasets.FindAsync(name, version, cancellationToken) is not { } row)
            throw new ActivityException(ActivityFailures.InvalidInput, DatasetEndpoints.NoSuchDataset(input.Reference));
        var artifact = await UseAsync(row.Artifact, cancellationToken);
        return new(new DatasetReference(name, row.Version, TableVersions(row.TableVersions), ToReference(artifact.Manifest, artifact.Digest)));
    }

    /// <summary>Names the job in the manifest: a repetition finds what it registered before.</summary>
    private async Task<PinnedArtifact> RegisterAsync(string job, RegisterArtifact input, CancellationToken cancellationToken)
    {
        if (await registry.FindMadeByAsync(input.Name, job, cancellationToken) is { } made) return ToReference(made.Manifest, made.Digest);
        var draft = new ArtifactDraft
        {
            Name = input.Name,
            Kind = input.Kind,
            Files = [.. input.Files.Select(file => new ManifestFile(file.Path, file.Size, file.Sha256))],
            Parents = [.. input.Parents.Select(parent => new ManifestParent(parent.Key, parent.Value.ToString(), parent.Value.Digest))],
            Recipe = input.Recipe,
            Metrics = input.Metrics,
            Attributes = new Dictionary<string, string>(input.Attributes, StringComparer.Ordinal) { [ArtifactManifest.JobAttribute] = job },
        };
        return await registry.RegisterAsync(draft, input.CreatedBy, cancellationToken) switch
        {
            Registration.Registered registered => await AuditedAsync(registered, input.CreatedBy, cancellationToken),
            Registration.Conflict conflict => throw new ActivityException(ActivityFailures.InvalidInput, $"{conflict.Reference} exists already"),
            Registration.Invalid invalid => throw new ActivityException(ActivityFailures.InvalidInput, string.Join('\n', invalid.Errors)),
            var other => throw new InvalidOperationException($"unknown outcome {other}"),
        };
    }

    private async Task<PinnedArtifact> AuditedAsync(Registration.Registered registered, string by, CancellationToken cancellationToken)
    {
        var detail = new JsonObject { ["digest"] = registered.Digest, ["kind"] = registered.Manifest.Kind };
        await audit.AppendAsync(by, "artifact.registered", registered.Manifest.Reference, JsonElement.Parse(detail.ToJsonString()), cancellationToken);
        return ToReference(registered.Manifest, registered.Digest);
    }

    private async Task<DatasetReference> RecordAsync(string job, RecordDatasetVersion input, CancellationToken cancellationToken)
    {
        var artifact = await RegisterAsync(
            job,
            new RegisterArtifact(
                input.Dataset,
                "dataset",
                [input.Source, input.Ingested.ReportFile],
                new Dictionary<string, PinnedArtifact>(StringComparer.Ordinal),
                Recipe: null,
                input.Ingested.Rows.ToDictionary(rows => $"rows_{rows.Key}", rows => (double)rows.Value, StringComparer.Ordinal),
                input.Ingested.TableVersions.ToDictionary(table => $"table_version_{table.Key}", table => $"{table.Value}", StringComparer.Ordinal),
                input.CreatedBy),
            cancellationToken);
        await datasets.AddAsync(
            new DatasetVersionRow
            {
                Dataset = input.Dataset,
                Version = artifact.Version,
                CreatedAt = time.GetUtcNow(),
                Task = input.Ingested.Task,
                Rows = JsonSerializer.Serialize(input.Ingested.Rows),
                RejectedRows = input.Ingested.RejectedRows,
                SourceSha256 = input.Source.Sha256,
                TableVersions = JsonSerializer.Serialize(input.Ingested.TableVersions),
                Artifact = artifact.ToString(),
            },
            cancellationToken);
        return new(input.Dataset, artifact.Version, input.Ingested.TableVersions, artifact);
    }

    private async Task<VerifiedArtifact> UseAsync(string reference, CancellationToken cancellationToken) =>
        await registry.UseAsync(reference, cancellationToken) switch
        {
            ArtifactLoad.Verified verified => verified.Artifact,
            ArtifactLoad.NotFound => throw new ActivityException(
                ActivityFailures.InvalidInput, $"no artifact {reference}; GET /api/v1/artifacts lists them"),
            ArtifactLoad.Refused refused => throw new ActivityException(ActivityFailures.VerificationFailed, refused.Failure.ToString()),
            var other => throw new InvalidOperationException($"unknown outcome {other}"),
        };

    private static string Hint(string kind) => kind == ArtifactKinds.Gguf
        ? ". A GGUF file is served and quantized; to train or evaluate, import the model that it was made of, in Hugging Face layout"
        : "";

    private static string? LicenseOf(ArtifactManifest? manifest) => manifest?.Attributes.GetValueOrDefault(ArtifactManifest.License);

    private static Dictionary<string, long> TableVersions(string json) => JsonSerializer.Deserialize<Dictionary<string, long>>(json)!;

    private static PinnedArtifact ToReference(ArtifactManifest manifest, string digest) => new(manifest.Name, manifest.Version, digest);

    private static PinnedArtifact ToReference(ManifestParent parent) =>
        parent.Artifact.Split('@', 2) is [var name, var version]
            ? new(name, version, parent.Digest)
            : throw new InvalidOperationException($"a parent without a version: {parent.Artifact}");
}
