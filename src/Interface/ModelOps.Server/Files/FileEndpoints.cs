using Microsoft.AspNetCore.Mvc;
using ModelOps.Client;
using ModelOps.Registry;
using ModelOps.Server.FineTuning;
using ModelOps.Server.OpenAI;
using ModelOps.Server.Security;
using ModelOps.Tables.Datasets;

namespace ModelOps.Server.Files;

/// <summary>/v1/files as OpenAI has it. What a file is for is checked when it comes: one that could not be used is refused, with every line at fault.</summary>
public static class FileEndpoints
{
    private const int DefaultFiles = 10_000;
    private static readonly TimeSpan batchesStay = TimeSpan.FromDays(30);

    public static void MapFiles(this IEndpointRouteBuilder api)
    {
        var files = api.MapGroup("/files");
        files.MapPost("/", UploadAsync).WithMetadata(new DisableRequestSizeLimitAttribute())
            .WithName("openaiCreateFile").WithSummary("Uploads a file for fine-tuning or for a batch; what is wrong with its lines is told at once.")
            .Accepts<IFormFile>("multipart/form-data", "*/*") // what else comes is refused behind the question who asks
            .Produces<FileObject>();
        files.MapGet("/", ListAsync)
            .WithName("openaiListFiles").WithSummary("Lists your files, newest first.").Produces<FileList>();
        files.MapGet("/{id}", async (string id, FileStore store, HttpContext context, CancellationToken cancellationToken) =>
            await store.GetAsync(id, context.Principal(), cancellationToken) is { } file ? Results.Json(FileObject.Of(file), OpenAIJson.Default.FileObject) : NoSuchFile(id))
            .WithName("openaiGetFile").WithSummary("Tells of a file.").Produces<FileObject>();
        files.MapGet("/{id}/content", ContentAsync)
            .WithName("openaiGetFileContent").WithSummary("Downloads a file.").Produces<Stream>(contentType: "application/octet-stream");
        files.MapDelete("/{id}", DeleteAsync)
            .WithName("openaiDeleteFile").WithSummary("Deletes a file that no unfinished job uses.").Produces<DeletedObject>();
    }

    private static async Task<IResult> UploadAsync(
        HttpContext context, FileStore store, BlobStore blobs, FilesOptions options, TimeProvider time, CancellationToken cancellationToken)
    {
        if (!UploadForm.Is(context.Request))
            return Problems.Of(
                ProblemTypes.UnsupportedMediaType, StatusCodes.Status415UnsupportedMediaType,
                $"'{context.Request.ContentType}' is not taken here; send multipart/form-data with the parts file and purpose");
        var faults = new Faults();
        try
        {
            await using var form = await UploadForm.ReadAsync(context.Request, blobs, options, faults, cancellationToken);
            var lifetime = form.ExpiresAfter(faults);
            await CheckAsync(form, faults, cancellationToken);
            if (faults.Any) return Problems.Invalid(faults);
            await form.Content!.KeepAsync(cancellationToken);
            var now = time.GetUtcNow();
            var file = new FileRow
            {
                Id = store.NewId(),
                Purpose = form.Purpose!,
                FileName = form.FileName,
                Size = form.Content.Size,
                Sha256 = form.Content.Sha256,
                CreatedBy = context.Principal().Name,
                CreatedAt = now,
                ExpiresAt = now + (lifetime ?? (form.Purpose == FilePurposes.Batch ? batchesStay : null)),
            };
            await store.PutAsync(file, cancellationToken);
            AuditTrail.SetSubject(context, file.Id);
            return Results.Json(FileObject.Of(file), OpenAIJson.Default.FileObject);
        }
        catch (ContentTooLongException e)
        {
            return Problems.Of(
                ProblemTypes.TooLarge, StatusCodes.Status413PayloadTooLarge,
                $"the file is larger than files:max_bytes allows, {e.Longest} bytes; 'modelops datasets create' takes files of any size");
        }
    }

    private static async Task CheckAsync(UploadForm form, Faults faults, CancellationToken cancellationToken)
    {
        if (form.Purpose is not (FilePurposes.FineTune or FilePurposes.Batch))
        {
            faults.Add("purpose", $"must be {FilePurposes.FineTune} or {FilePurposes.Batch}{(form.Purpose is null ? "" : $", not '{form.Purpose}'")}: no other is offered by this server");
            return;
        }
        if (form.Content is null) return;
        await using var content = await form.Content.OpenAsync(cancellationToken);
        var lines = form.Purpose == FilePurposes.Batch
            ? await BatchLines.FaultsAsync(content, form.FileName, cancellationToken)
            : await JsonLines.FaultsAsync(content, form.FileName, cancellationToken);
        if (lines.Count > 0) faults.Add("file", $"cannot be used for {form.Purpose}:\n{string.Join('\n', lines)}");
    }

    private static async Task<IResult> ListAsync(
        string? purpose, int? limit, string? order, string? after, FileStore store, HttpContext context, CancellationToken cancellationToken)
    {
        var faults = new Faults();
        faults.Check("limit", limit, value => value is >= 1 and <= DefaultFiles, $"from 1 to {DefaultFiles}");
        if (order is not (null or "asc" or "desc")) faults.Add("order", $"must be asc or desc, not '{order}'");
        if (faults.Any) return Problems.Invalid(faults);
        var most = limit ?? DefaultFiles;
        var rows = await store.ListAsync(new FileQuery(after, purpose, most + 1, order == "asc"), context.Principal(), cancellationToken);
        List<FileObject> page = [.. rows.Take(most).Select(FileObject.Of)];
        return Results.Json(
            new FileList("list", page, page.FirstOrDefault()?.Id ?? "", page.LastOrDefault()?.Id ?? "", rows.Count > most), OpenAIJson.Default.FileList);
    }

    private static async Task<IResult> ContentAsync(string id, FileStore store, BlobStore blobs, HttpContext context, CancellationToken cancellationToken)
    {
        if (await store.GetAsync(id, context.Principal(), cancellationToken) is not { } file) return NoSuchFile(id);
        if (await blobs.OpenAsync(file.Sha256, cancellationToken) is not { } content)
            return Problems.VerificationFailed($"the bytes of {id} are gone from the object store");
        context.Response.ContentLength = file.Size;
        return Results.Stream(content, "application/octet-stream", file.FileName);
    }

    private static async Task<IResult> DeleteAsync(string id, FileStore store, FineTuningJobs jobs, HttpContext context, CancellationToken cancellationToken)
    {
        var principal = context.Principal();
        if (await store.GetAsync(id, principal, cancellationToken) is null) return NoSuchFile(id);
        if (await jobs.UnfinishedWithAsync(id, cancellationToken) is { } job)
            return Problems.Invalid($"{id} is used by {FineTuningIds.OfJob(job.Id)}, which has not ended; wait for it or cancel it first");
        return await store.DeleteAsync(id, principal, cancellationToken)
            ? Results.Json(new DeletedObject(id, "file", Deleted: true), OpenAIJson.Default.DeletedObject)
            : NoSuchFile(id);
    }

    private static IResult NoSuchFile(string id) => Problems.NotFound($"no file {id} of yours; GET /v1/files lists them");
}
