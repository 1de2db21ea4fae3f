using System.Text.Json;
using ModelOps.Client;
using ModelOps.Registry;

namespace ModelOps.Server.Artifacts;

/// <summary>Artifacts with their proof, out of and into this server, and their revocation.</summary>
public static class PackageEndpoints
{
    public static void MapPackages(this IEndpointRouteBuilder api)
    {
        var artifacts = api.MapGroup("/artifacts").WithTags("artifacts");
        artifacts.MapGet("/{reference}/package", ExportAsync)
            .WithName("exportArtifact").WithSummary("Verifies an artifact and gives what an export of it holds besides its files.").Produces<PackagedArtifact>();
        artifacts.MapPost("/import", ImportAsync)
            .WithName("importArtifact").WithSummary("Registers an artifact that another installation signed, its files uploaded before.").Produces<ImportResult>();
        artifacts.MapPost("/{reference}/revoke", RevokeAsync)
            .WithName("revokeArtifact").WithSummary("Revokes an artifact: it and all made from it are refused from now on.").Produces(StatusCodes.Status204NoContent);
    }

    private static async Task<IResult> ExportAsync(
        string reference, ArtifactExports exports, ArtifactRefusals refusals, HttpContext context, CancellationToken cancellationToken)
    {
        switch (await exports.ExportAsync(reference, cancellationToken))
        {
            case ArtifactExport.Exported exported:
                return Results.Ok(ToWire(exported.Package));
            case ArtifactExport.Refused refused:
                await refusals.RecordAsync(context.User.Identity!.Name!, "export", refused.Failure.ToString(), cancellationToken);
                return Problems.VerificationFailed(refused.Failure.ToString());
            default:
                return ArtifactEndpoints.NoSuchArtifact(reference);
        }
    }

    private static async Task<IResult> ImportAsync(
        ImportArtifact import, ArtifactImports imports, ArtifactRefusals refusals, HttpContext context, CancellationToken cancellationToken)
    {
        if (import.Trust && !context.User.IsInRole(Roles.Admin))
            return Problems.Of(
                ProblemTypes.Forbidden, StatusCodes.Status403Forbidden, "only an admin may trust a key; import without trust once an admin has");
        var by = context.User.Identity!.Name!;
        var request = new ImportRequest
        {
            Envelope = import.Manifest,
            Bundle = import.Bundle,
            Parents = import.Parents,
            PublicKeys = import.PublicKeys,
            Trust = import.Trust,
            CheckOnly = import.CheckOnly,
        };
        switch (await imports.ImportAsync(request, by, cancellationToken))
        {
            case Import.Checked found:
                return Result(found.Manifest, found.Digest, "checked", found.Missing);
            case Import.Imported imported:
                return Result(imported.Manifest, imported.Digest, "imported");
            case Import.Unchanged same:
                return Result(same.Manifest, same.Digest, "unchanged");
            case Import.Conflict conflict:
                return Problems.Conflict($"{conflict.Reference} is here already with other content; versions never change");
            case Import.Invalid invalid:
                return Problems.Invalid(invalid.Errors);
            case Import.Refused refused:
                await refusals.RecordAsync(by, "import", refused.Failure.ToString(), cancellationToken);
                return Problems.VerificationFailed(refused.Failure + HowToTrust(refused.Failure, import));
            case var other:
                throw new InvalidOperationException($"unknown outcome {other}");
        }
    }

    private static async Task<IResult> RevokeAsync(
        string reference, RevocationReason body, ArtifactRevocations revocations, HttpContext context, CancellationToken cancellationToken) =>
        await revocations.RevokeAsync(reference, body.Reason, context.User.Identity!.Name!, cancellationToken) switch
        {
            RevokeArtifact.Revoked => Results.NoContent(),
            RevokeArtifact.Invalid invalid => Problems.Invalid(invalid.Error),
            _ => ArtifactEndpoints.NoSuchArtifact(reference),
        };

    private static IResult Result(ArtifactManifest manifest, string digest, string outcome, IReadOnlyList<string>? missing = null) =>
        Results.Ok(new ImportResult { Artifact = manifest.Reference, Digest = digest, Outcome = outcome, Missing = missing ?? [] });

    private static string HowToTrust(VerificationFailure failure, ImportArtifact import)
    {
        if (failure.Check != VerificationChecks.Key) return "";
        var offered = import.PublicKeys
            .Select(pem => PublicKeys.TryParse(pem, out var key, out _) ? key : null)
            .FirstOrDefault(key => key is not null && failure.Detail.Contains(key.KeyId, StringComparison.Ordinal));
        return offered is null ? "" : $" Its fingerprint is {offered.Fingerprint}: compare it with the signer's own, then trust it or import with --trust.";
    }

    private static PackagedArtifact ToWire(ArtifactPackage package) => new()
    {
        Artifact = package.Manifest.Reference,
        Digest = package.Digest,
        Manifest = package.Envelope,
        Bundle = package.Bundle,
        Parents = package.Parents,
        PublicKeys = [.. package.PublicKeys.Select(key => new PackageKey(key.KeyId, key.Fingerprint, key.ManifestPem, key.BundlePem))],
        Bom = JsonElement.Parse(package.Bom.ToJsonString()),
    };
}
