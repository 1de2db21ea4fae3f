using Microsoft.AspNetCore.Mvc;
using ModelOps.Client;
using ModelOps.Registry;

namespace ModelOps.Server.Artifacts;

/// <summary>Files ahead of the artifact or dataset that they belong to, addressed by their SHA-256: the same bytes are uploaded once.</summary>
public static class BlobEndpoints
{
    public static void MapBlobs(this IEndpointRouteBuilder api)
    {
        var blobs = api.MapGroup("/blobs").WithTags("artifacts");
        blobs.MapMethods("/{sha256}", ["HEAD"], async (string sha256, BlobUses blobs, CancellationToken cancellationToken) =>
            !ManifestRules.IsDigest(sha256) ? NotADigest(sha256)
            : await blobs.ClaimAsync(sha256, cancellationToken) is not null ? Results.Ok()
            : Problems.NotFound($"no blob {sha256}"));
        blobs.MapPut("/{sha256}", PutAsync).WithMetadata(new DisableRequestSizeLimitAttribute());
    }

    /// <summary>Streamed to the store and checked on the way: a body of another digest leaves nothing behind.</summary>
    private static async Task<IResult> PutAsync(
        string sha256, HttpRequest request, BlobStore store, BlobUses blobs, CancellationToken cancellationToken)
    {
        if (!ManifestRules.IsDigest(sha256)) return NotADigest(sha256);
        await blobs.ClaimAsync(sha256, cancellationToken); // what is stored already stays until it is referred to
        return await store.PutAsync(sha256, request.Body, cancellationToken) switch
        {
            PutBlob.Stored stored => Results.Created($"/api/v1/blobs/{sha256}", new Blob(sha256, stored.Size)),
            PutBlob.AlreadyStored stored => Results.Ok(new Blob(sha256, stored.Size)),
            PutBlob.Mismatch mismatch =>
                Problems.VerificationFailed($"the body has SHA-256 {mismatch.Actual}, the address says {sha256}; nothing was stored"),
            var other => throw new InvalidOperationException($"unknown outcome {other}"),
        };
    }

    private static IResult NotADigest(string text) => Problems.Invalid($"'{text}' is no SHA-256: 64 lower-case hex digits");
}
