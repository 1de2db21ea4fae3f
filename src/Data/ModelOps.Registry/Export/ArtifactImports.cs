using System.Diagnostics.CodeAnalysis;
using System.Text.Json;
using System.Text.Json.Nodes;
using ModelOps.Storage;

namespace ModelOps.Registry;

/// <summary>An artifact that another installation made, except its files, which are blobs.</summary>
public sealed record ImportRequest
{
    public required byte[] Envelope { get; init; }
    public byte[]? Bundle { get; init; }
    public IReadOnlyList<byte[]> Parents { get; init; } = [];

    /// <summary>PEM of keys that may have signed it; believed only with <see cref="Trust"/>.</summary>
    public IReadOnlyList<string> PublicKeys { get; init; } = [];

    /// <summary>Believe the keys that signed it from now on.</summary>
    public bool Trust { get; init; }

    /// <summary>Check what can be checked before the files are here, and register nothing.</summary>
    public bool CheckOnly { get; init; }
}

public abstract record Import
{
    private Import()
    {
    }

    /// <param name="Missing">SHA-256 of the files that are to be uploaded.</param>
    public sealed record Checked(ArtifactManifest Manifest, string Digest, IReadOnlyList<string> Missing) : Import;

    public sealed record Imported(ArtifactManifest Manifest, string Digest) : Import;

    /// <summary>It is here already, the same to the last byte.</summary>
    public sealed record Unchanged(ArtifactManifest Manifest, string Digest) : Import;

    /// <summary>This version is here already, with another digest.</summary>
    public sealed record Conflict(string Reference) : Import;

    public sealed record Refused(VerificationFailure Failure) : Import;

    /// <summary>Files are missing, or the request itself is wrong.</summary>
    public sealed record Invalid(IReadOnlyList<string> Errors) : Import;
}

/// <summary>Registers what others signed, with their manifest and signature as they are.</summary>
public sealed class ArtifactImports(
    ArtifactRegistry registry, IObjectStore objects, TrustedKeys trusted, SigningKeys keys, AuditLog audit)
{
    private const int maxParents = 4096;

    private readonly ArtifactReader reader = new(objects, trusted);
    private readonly ArtifactFiles files = new(objects, new VerifiedFiles());

    public async Task<Import> ImportAsync(ImportRequest request, string by, CancellationToken cancellationToken = default)
    {
        if (!TryRead(request.Envelope, out var manifest, out var signed, out var fault))
            return new Import.Invalid([$"manifest: {fault}"]);
        if (request.Parents.Count > maxParents)
            return new Import.Invalid([$"parents: {request.Parents.Count} are more than {maxParents}."]);
        if (request.Trust && await TrustAsync(request, by, cancellationToken).ConfigureAwait(false) is { } untrusted)
            return untrusted;

        // 1. Signature, trust, rules and revocation of it and all its ancestors, with the manifests that came or that are here.
        var (chain, checks) = await InspectAsync(request, manifest, signed.Digest, cancellationToken).ConfigureAwait(false);
        if (checks.FirstOrDefault(check => !check.Passed) is { } failed)
            return new Import.Refused(new VerificationFailure(failed.Artifact, failed.Check, failed.Detail));
        if (request.Bundle is { } bundle && OmsFormat.Fault(bundle, manifest, trusted) is { } bundleFault)
            return new Import.Refused(new VerificationFailure(manifest.Reference, VerificationChecks.Bundle, bundleFault));

        // 2. No version ever changes.
        if (await ConflictAsync(chain, cancellationToken).ConfigureAwait(false) is { } conflict)
            return new Import.Conflict(conflict);
        if (await registry.GetAsync(manifest.Reference, cancellationToken).ConfigureAwait(false) is not null)
            return new Import.Unchanged(manifest, signed.Digest);

        // 3. The files.
        var missing = await MissingAsync(manifest, cancellationToken).ConfigureAwait(false);
        if (request.CheckOnly)
            return new Import.Checked(manifest, signed.Digest, missing);
        if (missing.Count > 0)
            return new Import.Invalid([.. missing.Select(sha256 => $"file: there is no blob {sha256}; upload it first.")]);
        var verified = await files.VerifyAsync(manifest, cancellationToken).ConfigureAwait(false);
        if (verified.FirstOrDefault(check => !check.Passed) is { } changed)
            return new Import.Refused(new VerificationFailure(changed.Artifact, changed.Check, changed.Detail));

        // 4. Ancestors before the artifact, the artifact before the database.
        foreach (var link in Enumerable.Reverse(chain))
            await PutAsync(SignedManifest.KeyOf(link.Name, link.Version), link.Envelope, cancellationToken).ConfigureAwait(false);
        if (request.Bundle is not null)
            await PutAsync(OmsFormat.KeyOf(manifest.Name, manifest.Version), request.Bundle, cancellationToken).ConfigureAwait(false);
        if (!await registry.TryInsertAsync(manifest, signed.Digest, ParentsToList.Listed, cancellationToken).ConfigureAwait(false))
            return new Import.Unchanged(manifest, signed.Digest);
        var detail = new JsonObject { ["digest"] = signed.Digest, ["signed_by"] = signed.KeyId };
        await audit.AppendAsync(
            by, "artifact.imported", manifest.Reference, JsonElement.Parse(detail.ToJsonString()), cancellationToken).ConfigureAwait(false);
        return new Import.Imported(manifest, signed.Digest);
    }

    /// <summary>Adds the keys that signed the artifact and its ancestors, once each is shown to have signed.</summary>
    private async Task<Import?> TrustAsync(ImportRequest request, string by, CancellationToken cancellationToken)
    {
        var offered = new Dictionary<string, PublicKeys>();
        foreach (var pem in request.PublicKeys)
        {
            if (!PublicKeys.TryParse(pem, out var key, out var fault))
                return new Import.Invalid([$"public_keys: {fault}."]);
            offered[key.KeyId] = key;
        }
        foreach (var envelope in request.Parents.Prepend(request.Envelope))
        {
            if (!SignedManifest.TryParse(envelope, out var signed, out _) || !offered.TryGetValue(signed.KeyId, out var key)
                || !signed.IsSignedBy(key))
                continue; // the inspection says what is wrong
            var change = await keys.TrustAsync(key.Pem, $"imported by {by}", by, cancellationToken).ConfigureAwait(false);
            if (change is KeyChange.Refused refused)
                return new Import.Refused(new VerificationFailure(signed.Digest[..12], VerificationChecks.Key, refused.Reason));
        }
        return null;
    }

    private async Task<(List<Link> Chain, List<VerificationCheck> Checks)> InspectAsync(
        ImportRequest request, ArtifactManifest top, string digest, CancellationToken cancellationToken)
    {
        var came = new Dictionary<string, byte[]>();
        foreach (var envelope in request.Parents)
        {
            if (SignedManifest.TryParse(envelope, out var parent, out _))
                came[parent.Digest] = envelope;
        }
        var chain = new List<Link>();
        var checks = new List<VerificationCheck>();
        var seen = new HashSet<(string, string)>();
        var waiting = new Queue<(string Name, string Version, string Digest, byte[]? Envelope)>(
            [(top.Name, top.Version, digest, request.Envelope)]);
        while (waiting.TryDequeue(out var next))
        {
            var stored = next.Envelope
                ?? await reader.ReadAsync(SignedManifest.KeyOf(next.Name, next.Version), cancellationToken).ConfigureAwait(false);
            var revocation = await reader.ReadAsync(Revocation.KeyOf(next.Name, next.Version), cancellationToken).ConfigureAwait(false);
            var inspection = ManifestInspection.Run(next.Name, next.Version, stored, revocation, next.Digest, trusted);
            checks.AddRange(inspection.Checks);
            if (inspection.Artifact is not { } artifact)
                continue;
            chain.Add(new Link(next.Name, next.Version, next.Digest, stored!));
            foreach (var parent in artifact.Manifest.Parents.Where(parent => seen.Add((parent.Artifact, parent.Digest))))
            {
                var reference = ArtifactReference.TryParse(parent.Artifact)!;
                waiting.Enqueue((reference.Name, reference.Version!, parent.Digest, came.GetValueOrDefault(parent.Digest)));
            }
        }
        return (chain, checks);
    }

    private async Task<string?> ConflictAsync(IEnumerable<Link> chain, CancellationToken cancellationToken)
    {
        foreach (var artifact in chain)
        {
            var here = await reader.ReadAsync(SignedManifest.KeyOf(artifact.Name, artifact.Version), cancellationToken).ConfigureAwait(false);
            if (here is not null && (!SignedManifest.TryParse(here, out var signed, out _) || signed.Digest != artifact.Digest))
                return $"{artifact.Name}@{artifact.Version}";
        }
        return null;
    }

    private async Task<IReadOnlyList<string>> MissingAsync(ArtifactManifest manifest, CancellationToken cancellationToken)
    {
        var missing = new List<string>();
        foreach (var sha256 in manifest.Files.Select(file => file.Sha256).Distinct())
        {
            if (await objects.HeadAsync(BlobStore.KeyOf(sha256), cancellationToken).ConfigureAwait(false) is null)
                missing.Add(sha256);
        }
        return missing;
    }

    private async Task PutAsync(string key, byte[] bytes, CancellationToken cancellationToken)
    {
        using var content = new MemoryStream(bytes);
        await objects.PutAsync(key, content, PutMode.IfAbsent, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Reads what the envelope says, before anything of it is believed.</summary>
    private static bool TryRead(
        byte[] envelope,
        [NotNullWhen(true)] out ArtifactManifest? manifest,
        [NotNullWhen(true)] out SignedManifest? signed,
        out string? fault)
    {
        manifest = null;
        if (!SignedManifest.TryParse(envelope, out signed, out fault))
            return false;
        try
        {
            manifest = JsonSerializer.Deserialize(signed.Payload.Span, ManifestJson.Default.ArtifactManifest);
            fault = manifest is null ? "it is null." : ManifestRules.Check(manifest) is { Count: > 0 } faults ? string.Join(" ", faults) : null;
        }
        catch (JsonException broken)
        {
            fault = broken.Message;
        }
        return manifest is not null && fault is null;
    }

    private sealed record Link(string Name, string Version, string Digest, byte[] Envelope);
}
