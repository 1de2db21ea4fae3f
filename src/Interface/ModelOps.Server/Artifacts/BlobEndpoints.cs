using Microsoft.AspNetCore.Mvc;
using ModelOps.Client;
using ModelOps.Registry;
using ModelOps.Storage;

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
            : Problems.NotFound($"no blob {sha256}"))
            .WithName("headBlob").WithSummary("Says whether the file with that SHA-256 is uploaded.").Produces(StatusCodes.Status200OK);
        blobs.MapGet("/{sha256}", GetAsync)
            .WithName("getBlob").WithSummary("Downloads a file, or one range of it.").Produces<Stream>(contentType: "application/octet-stream");
        blobs.MapPut("/{sha256}", PutAsync).WithMetadata(new DisableRequestSizeLimitAttribute())
            .WithName("putBlob").WithSummary("Uploads a file, streamed and checked against its SHA-256.")
            .Accepts<Stream>("*/*").Produces<Blob>().Produces<Blob>(StatusCodes.Status201Created);
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

    /// <summary>The bytes as stored: who downloads them holds them against the digest that asked for them. One range, or all.</summary>
    private static async Task<IResult> GetAsync(
        string sha256, HttpRequest request, HttpResponse response, BlobStore store, IObjectStore objects, CancellationToken cancellationToken)
    {
        if (!ManifestRules.IsDigest(sha256)) return NotADigest(sha256);
        if (await store.SizeAsync(sha256, cancellationToken) is not { } size) return Problems.NotFound($"no blob {sha256}");
        var (from, length) = (0L, size);
        response.Headers.AcceptRanges = "bytes";
        if (request.GetTypedHeaders().Range is { Unit.Value: "bytes", Ranges: { Count: 1 } ranges })
        {
            var range = ranges.First();
            from = range.From ?? Math.Max(0, size - range.To!.Value);
            var last = range.From is null ? size - 1 : Math.Min(range.To ?? size - 1, size - 1);
            length = last - from + 1;
            if (from >= size || length <= 0)
            {
                response.Headers.ContentRange = $"bytes */{size}";
                return Problems.Of(
                    ProblemTypes.Invalid, StatusCodes.Status416RangeNotSatisfiable, $"the blob has {size} bytes; ask for a range in it");
            }
            response.StatusCode = StatusCodes.Status206PartialContent;
            response.Headers.ContentRange = $"bytes {from}-{last}/{size}";
        }
        if (await objects.OpenReadAsync(BlobStore.KeyOf(sha256), from, length, cancellationToken) is not { } content)
            return Problems.NotFound($"no blob {sha256}");
        response.ContentLength = length;
        return Results.Stream(content, "application/octet-stream");
    }

    private static IResult NotADigest(string text) => Problems.Invalid($"'{text}' is no SHA-256: 64 lower-case hex digits");
}
