using System.Collections.Concurrent;
using System.Globalization;
using System.Net;
using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace ModelOps.Tests.Client;

/// <summary>A hub on loopback, and the host of large files that it redirects to: with ranges, LFS entries, errors, drops and wrong bytes.</summary>
internal sealed class HubPeer : IAsyncDisposable
{
    public const string Commit = "0123456789abcdef0123456789abcdef01234567";
    public const string Repository = "org/Tiny-1.5";

    private readonly WebApplication hub;
    private readonly WebApplication content;
    private readonly ConcurrentQueue<(string Path, string? Range, string? Authorization)> hubRequests = [];
    private readonly ConcurrentQueue<(string Path, string? Range, string? Authorization)> contentRequests = [];

    private HubPeer()
    {
        hub = Build();
        content = Build();
        hub.MapGet("/api/models/{org}/{name}/revision/{revision}", Tell);
        hub.MapGet("/{org}/{name}/resolve/{commit}/{path}", Resolve);
        content.MapGet("/{path}", SendAsync);
    }

    /// <summary>Small ones are git's, those over 1000 bytes LFS's.</summary>
    public Dictionary<string, byte[]> Files { get; } = new(StringComparer.Ordinal)
    {
        ["config.json"] = "{}"u8.ToArray(),
        ["tokenizer.json"] = Bytes(5_000, seed: 1),
        ["model.safetensors"] = Bytes(300_000, seed: 2),
        ["pytorch_model.bin"] = Bytes(2_000, seed: 3),
        ["README.md"] = "# Tiny"u8.ToArray(),
        [".gitattributes"] = "*"u8.ToArray(),
        ["LICENSE"] = [],
    };

    /// <summary>Answered in place of what was asked for.</summary>
    public (int Status, string? Code)? Refusal { get; set; }

    /// <summary>Bytes after which a connection for a large file is cut.</summary>
    public int? DropsAfter { get; set; }

    /// <summary>Awaited before a connection is cut, with what has been sent of the file: what is on its way would be lost.</summary>
    public Func<int, Task> Received { get; set; } = _ => Task.CompletedTask;

    public bool IgnoresRanges { get; set; }

    public bool SendsWrongBytes { get; set; }

    public Uri Address => new(hub.Urls.Single());

    public IEnumerable<(string Path, string? Range, string? Authorization)> HubRequests => hubRequests;

    public IEnumerable<(string Path, string? Range, string? Authorization)> ContentRequests => contentRequests;

    public static async Task<HubPeer> StartAsync()
    {
        var peer = new HubPeer();
        await peer.hub.StartAsync();
        await peer.content.StartAsync();
        return peer;
    }

    public async ValueTask DisposeAsync()
    {
        await hub.DisposeAsync();
        await content.DisposeAsync();
    }

    private static WebApplication Build()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0));
        return builder.Build();
    }

    private static byte[] Bytes(int count, int seed)
    {
        var bytes = new byte[count];
        new Random(seed).NextBytes(bytes);
        return bytes;
    }

    private IResult Tell(HttpContext context, string revision)
    {
        Record(hubRequests, context);
        if (Refused(context) is { } refused)
            return refused;
        var siblings = Files.Select(file => new
        {
            rfilename = file.Key,
            size = file.Value.Length,
            blobId = IsLarge(file.Value) ? new string('0', 40) : GitDigest(file.Value),
            lfs = IsLarge(file.Value) ? new { sha256 = Convert.ToHexStringLower(SHA256.HashData(file.Value)), size = file.Value.Length, pointerSize = 130 } : null,
        });
        return revision is "main" or "v1"
            ? Results.Json(new { id = Repository, sha = Commit, siblings, tags = new[] { "license:apache-2.0" }, cardData = new { license = "apache-2.0" } })
            : Refuse(context, 404, "RevisionNotFound");
    }

    private IResult Resolve(HttpContext context, string path)
    {
        Record(hubRequests, context);
        if (Refused(context) is { } refused)
            return refused;
        if (!Files.TryGetValue(path, out var bytes))
            return Refuse(context, 404, "EntryNotFound");
        return IsLarge(bytes) ? Results.Redirect($"{content.Urls.Single()}/{path}?signature=abc") : Results.Bytes(bytes, enableRangeProcessing: true);
    }

    private async Task SendAsync(HttpContext context, string path)
    {
        Record(contentRequests, context);
        var bytes = Files[path].ToArray();
        if (SendsWrongBytes)
            bytes[^1] ^= 1;
        var from = !IgnoresRanges && context.Request.Headers.Range.ToString() is { Length: > 0 } range
            ? int.Parse(range["bytes=".Length..^1], CultureInfo.InvariantCulture)
            : 0;
        context.Response.ContentLength = bytes.Length - from;
        if (from > 0)
        {
            context.Response.StatusCode = StatusCodes.Status206PartialContent;
            context.Response.Headers.ContentRange = $"bytes {from}-{bytes.Length - 1}/{bytes.Length}";
        }
        var count = Math.Min(DropsAfter ?? int.MaxValue, bytes.Length - from);
        await context.Response.Body.WriteAsync(bytes.AsMemory(from, count), context.RequestAborted);
        await context.Response.Body.FlushAsync(context.RequestAborted);
        if (from + count == bytes.Length)
            return;
        await Received(from + count);
        context.Abort();
    }

    private IResult? Refused(HttpContext context) => Refusal is var (status, code) ? Refuse(context, status, code) : null;

    private static IResult Refuse(HttpContext context, int status, string? code)
    {
        if (code is not null)
            context.Response.Headers["X-Error-Code"] = code;
        return Results.StatusCode(status);
    }

    private static void Record(ConcurrentQueue<(string Path, string? Range, string? Authorization)> requests, HttpContext context) =>
        requests.Enqueue((context.Request.Path, context.Request.Headers.Range, context.Request.Headers.Authorization));

    private static bool IsLarge(byte[] bytes) => bytes.Length > 1000;

    private static string GitDigest(byte[] bytes) =>
        Convert.ToHexStringLower(CryptographicOperations.HashData(HashAlgorithmName.SHA1, [.. Encoding.ASCII.GetBytes($"blob {bytes.Length}\0"), .. bytes]));
}
