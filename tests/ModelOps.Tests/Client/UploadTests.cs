using System.Collections.Concurrent;
using System.Security.Cryptography;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using ModelOps.Client;

namespace ModelOps.Tests.Client;

public sealed class UploadTests : IDisposable
{
    private readonly string folder = Directory.CreateTempSubdirectory("modelops-push-").FullName;
    private readonly ConcurrentDictionary<string, byte[]> blobs = new(StringComparer.Ordinal);

    public void Dispose() => Directory.Delete(folder, recursive: true);

    [Fact(Timeout = 60_000)]
    public async Task Push_SomeContentsKnown_SendsTheOthersOnceAndRegistersAll()
    {
        var large = new byte[3_000_000];
        new Random(1).NextBytes(large);
        Write("weights.safetensors", large);
        Write("config.json", "known"u8);
        Write("sub/copy.bin", large);
        Write(".git/ignored", "x"u8);
        blobs[HashOf("known"u8)] = [.. "known"u8];
        CreateArtifact? created = null;
        await using var peer = await HttpsPeer.StartAsync(app =>
        {
            MapBlobs(app);
            app.MapPost("/api/v1/artifacts", (CreateArtifact request) =>
            {
                created = request;
                return Results.Json(ArtifactOf(request), WireJson.Default.Artifact, statusCode: 201);
            });
        });
        using var client = peer.Connect();
        var progress = new Recorder();

        var files = await LocalFiles.HashFolderAsync(folder, TestContext.Current.CancellationToken);
        var artifact = await client.Artifacts.PushAsync("demo", "model", files, progress, TestContext.Current.CancellationToken);

        Assert.Equal(["config.json", "sub/copy.bin", "weights.safetensors"], created!.Files.Select(file => file.Path));
        Assert.True(files.SameAs(artifact));
        Assert.Single(peer.Requests, request => request.StartsWith("PUT", StringComparison.Ordinal));
        Assert.Equal(large, blobs[HashOf(large)]);
        Assert.Equal(new UploadProgress("weights.safetensors", 6_000_005, 6_000_005), progress.Reports[^1]);
        Assert.Equal(progress.Reports.Select(report => report.Bytes).Order(), progress.Reports.Select(report => report.Bytes));
    }

    [Fact(Timeout = 60_000)]
    public async Task Push_UploadFailsOnce_SendsTheWholeFileAgain()
    {
        Write("a.bin", new byte[500_000]);
        var failed = false;
        await using var peer = await HttpsPeer.StartAsync(app =>
        {
            app.Use(async (context, next) =>
            {
                if (context.Request.Method == "PUT" && !failed)
                {
                    failed = true;
                    await context.Request.Body.CopyToAsync(Stream.Null);
                    context.Response.StatusCode = 502;
                    return;
                }
                await next(context);
            });
            MapBlobs(app);
            app.MapPost("/api/v1/artifacts", (CreateArtifact request) => Results.Json(ArtifactOf(request), WireJson.Default.Artifact, statusCode: 201));
        });
        using var client = peer.Connect(new ClientOptions { Time = new InstantTime() });

        await client.Artifacts.PushAsync("demo", "model", await LocalFiles.HashFolderAsync(folder, TestContext.Current.CancellationToken), null, TestContext.Current.CancellationToken);

        Assert.Equal(500_000, Assert.Single(blobs).Value.Length);
    }

    [Fact(Timeout = 60_000)]
    public async Task Push_FileChangedSinceItWasHashed_NamesTheFileAndRegistersNothing()
    {
        Write("a.bin", new byte[100]);
        await using var peer = await HttpsPeer.StartAsync(MapBlobs);
        using var client = peer.Connect(new ClientOptions { Time = new InstantTime() });
        var files = await LocalFiles.HashFolderAsync(folder, TestContext.Current.CancellationToken);
        Write("a.bin", new byte[200]);

        var exception = await Assert.ThrowsAsync<ModelOpsException>(() => client.Artifacts.PushAsync("demo", "model", files, null, TestContext.Current.CancellationToken));

        Assert.Contains(Path.Combine(folder, "a.bin"), exception.Message, StringComparison.Ordinal);
        Assert.Empty(blobs);
    }

    [Fact(Timeout = 60_000)]
    public async Task Push_FileGoneSinceItWasHashed_NamesTheFileWithoutRetries()
    {
        Write("a.bin", new byte[100]);
        await using var peer = await HttpsPeer.StartAsync(MapBlobs);
        var time = new InstantTime();
        using var client = peer.Connect(new ClientOptions { Time = time, ConnectTimeout = TimeSpan.FromMinutes(1) });
        var files = await LocalFiles.HashFolderAsync(folder, TestContext.Current.CancellationToken);
        File.Delete(Path.Combine(folder, "a.bin"));

        var exception = await Assert.ThrowsAsync<ModelOpsException>(() => client.Artifacts.PushAsync("demo", "model", files, null, TestContext.Current.CancellationToken));

        Assert.IsNotType<ServerUnreachableException>(exception);
        Assert.Contains("a.bin", exception.Message, StringComparison.Ordinal);
        Assert.Empty(time.Waits);
    }

    [Fact]
    public async Task HashFolder_NoFile_SaysSo()
    {
        await Assert.ThrowsAsync<InvalidDataException>(() => LocalFiles.HashFolderAsync(folder, TestContext.Current.CancellationToken));
        await Assert.ThrowsAsync<DirectoryNotFoundException>(() => LocalFiles.HashFolderAsync(Path.Combine(folder, "none"), TestContext.Current.CancellationToken));
    }

    private void MapBlobs(WebApplication app)
    {
        app.MapMethods("/api/v1/blobs/{sha256}", ["HEAD"], (string sha256) =>
            blobs.ContainsKey(sha256) ? Results.Ok() : HttpsPeer.Problem(404, ProblemTypes.NotFound, "No such blob."));
        app.MapPut("/api/v1/blobs/{sha256}", async (string sha256, HttpRequest request) =>
        {
            using var body = new MemoryStream();
            await request.Body.CopyToAsync(body);
            if (HashOf(body.ToArray()) != sha256)
            {
                return HttpsPeer.Problem(422, ProblemTypes.Invalid, "The digest differs.");
            }
            blobs[sha256] = body.ToArray();
            return Results.Json(new Blob(sha256, body.Length), WireJson.Default.Blob, statusCode: 201);
        });
    }

    private static Artifact ArtifactOf(CreateArtifact request) => new()
    {
        Name = request.Name,
        Version = "1",
        Kind = request.Kind,
        Stage = "DEV",
        Digest = new string('0', 64),
        CreatedAt = DateTimeOffset.UnixEpoch,
        CreatedBy = "admin",
        Size = request.Files.Sum(file => file.Size),
        Files = request.Files,
        Parents = [],
        Metrics = new Dictionary<string, double>(StringComparer.Ordinal),
    };

    private static string HashOf(ReadOnlySpan<byte> bytes) => Convert.ToHexStringLower(SHA256.HashData(bytes));

    private void Write(string path, ReadOnlySpan<byte> bytes)
    {
        var full = Path.Combine(folder, path);
        Directory.CreateDirectory(Path.GetDirectoryName(full)!);
        File.WriteAllBytes(full, bytes);
    }

    private sealed class Recorder : IProgress<UploadProgress>
    {
        public List<UploadProgress> Reports { get; } = [];

        public void Report(UploadProgress value) => Reports.Add(value);
    }
}
