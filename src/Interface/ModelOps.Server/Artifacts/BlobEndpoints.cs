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
        blobs.MapMethods("/{sha256}", ["HEAD"], async (string sha256, BlobStore store, CancellationToken cancellationToken) =>
            !ManifestRules.IsDigest(sha256) ? NotADigest(sha256)
            : await store.ExistsAsync(sha256, cancellationToken) ? Results.Ok()
            : Problems.NotFound($"no blob {sha256}"))
            .WithName("headBlob").WithSummary("Says whether the file with that SHA-256 is uploaded.").Produces(StatusCodes.Status200OK);
        blobs.MapPut("/{sha256}", PutAsync).WithMetadata(new DisableRequestSizeLimitAttribute())
            .WithName("putBlob").WithSummary("Uploads a file, streamed and checked against its SHA-256.")
            .Accepts<Stream>("application/octet-stream").Produces<Blob>().Produces<Blob>(StatusCodes.Status201Created);
    }

    /// <summary>Streamed to the store and checked on the way: a body of another digest leaves nothing behind.</summary>
    private static async Task<IResult> PutAsync(string sha256, HttpRequest request, BlobStore store, CancellationToken cancellationToken)
    {
        if (!ManifestRules.IsDigest(sha256)) return NotADigest(sha256);
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
