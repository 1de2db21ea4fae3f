using System.Collections.Concurrent;
using System.Security.Cryptography;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Mvc;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using ModelOps.Studio.SignIn;

namespace ModelOps.Studio.Datasets;

/// <summary>
/// Files that a browser sent and that are on their way to the API, each only for whom it is of. A browser that leaves takes its file with it.
/// </summary>
public sealed class Uploads(TimeProvider time) : IDisposable
{
    private static readonly TimeSpan kept = TimeSpan.FromHours(1);
    private readonly ConcurrentDictionary<string, Upload> files = new(StringComparer.Ordinal);
    private readonly Lazy<string> folder = new(() => Directory.CreateTempSubdirectory("modelops-studio-").FullName);

    public async Task<string> AddAsync(string owner, string name, Stream content, CancellationToken cancellationToken)
    {
        foreach (var (old, file) in files) if (file.At < time.GetUtcNow() - kept) Remove(old);
        var id = RandomNumberGenerator.GetHexString(32, lowercase: true);
        var place = Directory.CreateDirectory(Path.Combine(folder.Value, id)).FullName;
        var path = Path.Combine(place, Path.GetFileName(name) is { Length: > 0 } plain and not ("." or "..") ? plain : "file");
        try
        {
            await using var target = new FileStream(path, FileMode.CreateNew, FileAccess.Write, FileShare.None, 1 << 16, FileOptions.Asynchronous);
            await content.CopyToAsync(target, cancellationToken);
        }
        catch
        {
            Directory.Delete(place, recursive: true);
            throw;
        }
        files[id] = new Upload(owner, path, time.GetUtcNow());
        return id;
    }

    /// <returns>Null: there is no such file of that owner.</returns>
    public string? PathOf(string id, string owner) => files.TryGetValue(id, out var file) && file.Owner == owner ? file.Path : null;

    public void Remove(string id)
    {
        if (files.TryRemove(id, out var file)) Directory.Delete(Path.GetDirectoryName(file.Path)!, recursive: true);
    }

    public void Dispose()
    {
        if (folder.IsValueCreated) Directory.Delete(folder.Value, recursive: true);
    }

    private sealed record Upload(string Owner, string Path, DateTimeOffset At);
}

internal static class UploadEndpoints
{
    public static void MapUploads(this IEndpointRouteBuilder app) =>
        app.MapPost("/studio/files", (Delegate)AcceptAsync).AsStudio().WithMetadata(new DisableRequestSizeLimitAttribute()).ExcludeFromDescription();

    private static async Task<IResult> AcceptAsync(HttpContext context)
    {
        var request = context.Request;
        var services = context.RequestServices;
        if (!SignInEndpoints.IsOwn(request)) return Results.BadRequest();
        if (services.GetRequiredService<StudioSessions>().Find(context.User) is not { } session) return Results.Unauthorized();
        if (!await session.MayUploadAsync(services.GetRequiredService<StudioSessions>(), context.RequestAborted))
            return Results.Text("Your role may not upload datasets.", statusCode: StatusCodes.Status403Forbidden);
        return Results.Text(await services.GetRequiredService<Uploads>().AddAsync(session.Id, request.Query["name"].ToString(), request.Body, context.RequestAborted));
    }
}
