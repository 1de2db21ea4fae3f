using System.Security.Cryptography;
using System.Text.Json;
using Microsoft.AspNetCore.Mvc;
using ModelOps.Client;
using ModelOps.Registry;
using ModelOps.Server.Hosting;

namespace ModelOps.Server.Backup;

/// <summary>The metadata as one archive; for administrators, while the server runs.</summary>
public static class BackupEndpoints
{
    private const string Tar = "application/x-tar";

    public static void MapBackup(this IEndpointRouteBuilder api)
    {
        var backup = api.MapGroup("/").WithTags("backup");
        backup.MapPost("/backup", CreateAsync)
            .WithName("createBackup").WithSummary("Gives all metadata as one archive.").Produces<Stream>(contentType: Tar);
        backup.MapPost("/restore", RestoreAsync).WithMetadata(new DisableRequestSizeLimitAttribute())
            .WithName("restoreBackup").WithSummary("Replaces all metadata by an archive's, after checking all of it.").Accepts<Stream>("*/*").Produces<RestoreReport>();
    }

    /// <summary>Written whole before the first byte is sent: a slow reader holds no snapshot of the database.</summary>
    private static async Task<IResult> CreateAsync(
        [FromQuery(Name = "with_keys")] bool? withKeys, MetadataBackup backup, AuditLog audit, HttpContext context, CancellationToken cancellationToken)
    {
#pragma warning disable CA2000 // the response disposes it
        var archive = ScratchFile.Create();
#pragma warning restore CA2000
        context.Response.RegisterForDisposeAsync(archive);
        await backup.WriteAsync(archive, withKeys ?? false, cancellationToken);
        archive.Position = 0;
        var sha256 = Convert.ToHexStringLower(await SHA256.HashDataAsync(archive, cancellationToken));
        var detail = JsonSerializer.SerializeToElement(new { sha256, with_keys = withKeys ?? false });
        await audit.AppendAsync(context.User.Identity!.Name!, "metadata.backed_up", "metadata", detail, cancellationToken);
        archive.Position = 0;
        return Results.Stream(archive, Tar);
    }

    /// <summary>After the answer the server restarts itself: nothing that it knew before stays in memory.</summary>
    private static async Task<IResult> RestoreAsync(
        bool? replace, MetadataRestore restore, ServerRestart restart, HttpContext context, CancellationToken cancellationToken)
    {
        await using var archive = ScratchFile.Create();
        await context.Request.Body.CopyToAsync(archive, cancellationToken);
        switch (await restore.RestoreAsync(archive, context.User.Identity!.Name!, replace ?? false, cancellationToken))
        {
            case RestoreOutcome.Restored restored:
                context.Response.OnCompleted(() =>
                {
                    restart.Request();
                    return Task.CompletedTask;
                });
                return Results.Ok(new RestoreReport(restored.CreatedAt, restored.Rows, restored.Keys));
            case RestoreOutcome.Damaged damaged:
                return Problems.Of(
                    ProblemTypes.VerificationFailed, StatusCodes.Status422UnprocessableEntity, "the backup cannot be restored; nothing was changed", damaged.Faults);
            case RestoreOutcome.NotEmpty filled:
                return Problems.Conflict(
                    $"the server has metadata ({string.Join(", ", filled.Tables)}), and a restore replaces all of it; allow that with replace=true, or --yes on the command line");
            case RestoreOutcome.JobsUnfinished unfinished:
                return Problems.Conflict(
                    $"{unfinished.Jobs.Count} jobs are not finished ({string.Join(", ", unfinished.Jobs.Take(5))}{(unfinished.Jobs.Count > 5 ? ", …" : "")}); wait for them or cancel them first");
            case var other:
                throw new InvalidOperationException($"unknown outcome {other}");
        }
    }
}
