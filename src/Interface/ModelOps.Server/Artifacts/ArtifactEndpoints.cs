using ModelOps.Client;
using ModelOps.Registry;

namespace ModelOps.Server.Artifacts;

public static class ArtifactEndpoints
{
    public static void MapArtifacts(this IEndpointRouteBuilder api)
    {
        var artifacts = api.MapGroup("/artifacts").WithTags("artifacts");
        artifacts.MapPost("/", CreateAsync)
            .WithName("createArtifact").WithSummary("Registers uploaded files as a signed artifact.").Produces<Artifact>(StatusCodes.Status201Created);
        artifacts.MapGet("/", async (ArtifactRegistry registry, string? kind, CancellationToken cancellationToken) =>
            new Page<Artifact>([.. (await registry.ListAsync(kind, cancellationToken)).Select(ToWire)]))
            .WithName("listArtifacts").WithSummary("Lists artifacts, of one kind if it is named.");
        artifacts.MapGet("/{reference}", async (string reference, ArtifactViews views, CancellationToken cancellationToken) =>
            await views.GetAsync(reference, cancellationToken) is { } artifact ? Results.Ok(artifact) : NoSuchArtifact(reference))
            .WithName("getArtifact").WithSummary("Tells of an artifact, by name, name@version or name:alias.").Produces<Artifact>();
        artifacts.MapPost("/{reference}/verify", VerifyAsync)
            .WithName("verifyArtifact").WithSummary("Checks signature, trust, every file and every parent.").Produces<Verification>();
    }

    public static IResult NoSuchArtifact(string reference) =>
        Problems.NotFound($"no artifact {reference}; GET /api/v1/artifacts lists them");

    private static async Task<IResult> CreateAsync(
        CreateArtifact create, ArtifactRegistry registry, HttpContext context, CancellationToken cancellationToken)
    {
        var draft = new ArtifactDraft
        {
            Name = create.Name,
            Version = create.Version,
            Kind = create.Kind,
            Files = [.. create.Files.Select(file => new ManifestFile(file.Path, file.Size, file.Sha256))],
            Attributes = new (string Key, string? Value)[] { (ArtifactManifest.License, create.License), (ArtifactManifest.Source, create.Source) }
                .Where(entry => !string.IsNullOrWhiteSpace(entry.Value)).ToDictionary(entry => entry.Key, entry => entry.Value!),
        };
        return await registry.RegisterAsync(draft, context.User.Identity!.Name!, cancellationToken) switch
        {
            Registration.Registered registered => await CreatedAsync(registered, registry, cancellationToken),
            Registration.Conflict conflict => Problems.Conflict($"{conflict.Reference} exists already; versions never change, choose another"),
            Registration.Invalid invalid => Problems.Invalid(invalid.Errors),
            var other => throw new InvalidOperationException($"unknown outcome {other}"),
        };
    }

    private static async Task<IResult> CreatedAsync(Registration.Registered registered, ArtifactRegistry registry, CancellationToken cancellationToken)
    {
        var artifact = (await registry.GetAsync(registered.Manifest.Reference, cancellationToken))!;
        return Results.Created($"/api/v1/artifacts/{registered.Manifest.Reference}", ToWire(artifact));
    }

    private static async Task<IResult> VerifyAsync(
        string reference, ArtifactRegistry registry, CancellationToken cancellationToken, bool deep = false)
    {
        if (await registry.VerifyAsync(reference, deep, cancellationToken) is not { } report) return NoSuchArtifact(reference);
        return Results.Ok(new Verification
        {
            Artifact = report.Artifact,
            Verified = report.Verified,
            Checks = [.. report.Checks.Select(check => new Client.VerificationCheck(check.Artifact, check.Check, check.Passed, check.Detail))],
        });
    }

    internal static Artifact ToWire(ArtifactEntry artifact) => new()
    {
        Name = artifact.Manifest.Name,
        Version = artifact.Manifest.Version,
        Kind = artifact.Manifest.Kind,
        Stage = artifact.Stage,
        Digest = artifact.Digest,
        CreatedAt = artifact.Manifest.CreatedAt,
        CreatedBy = artifact.Manifest.CreatedBy,
        Size = artifact.Size,
        Files = [.. artifact.Manifest.Files.Select(file => new ArtifactFile(file.Path, file.Size, file.Sha256))],
        Parents = [.. artifact.Manifest.Parents.Select(parent => new ArtifactParent(parent.Role, parent.Artifact, parent.Digest))],
        Metrics = artifact.Manifest.Metrics,
        Recipe = artifact.Manifest.Recipe,
        License = artifact.Manifest.Attributes.GetValueOrDefault(ArtifactManifest.License),
        Source = artifact.Manifest.Attributes.GetValueOrDefault(ArtifactManifest.Source),
        FilesRemovedAt = artifact.FilesRemovedAt,
    };
}
