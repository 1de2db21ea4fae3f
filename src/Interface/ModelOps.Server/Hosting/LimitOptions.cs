using System.ComponentModel.DataAnnotations;

namespace ModelOps.Server.Hosting;

/// <summary>What one client may take of the server.</summary>
public sealed record LimitOptions
{
    public const long DefaultRequestBytes = 4 * 1024 * 1024;

    /// <summary>Largest request body in bytes; uploads of blobs are streamed and have no limit.</summary>
    [Range(1024, 1L << 30)]
    public long RequestBytes { get; init; } = DefaultRequestBytes;

    /// <summary>Open connections at once; further ones are closed.</summary>
    [Range(1, 1_000_000)]
    public long Connections { get; init; } = 4096;

    /// <summary>Time in which a request's header must have arrived.</summary>
    [Range(typeof(TimeSpan), "00:00:01", "00:10:00")]
    public TimeSpan HeaderTimeout { get; init; } = TimeSpan.FromSeconds(15);

    /// <summary>Bytes a second below which a request's body is given up.</summary>
    [Range(1, 1_000_000)]
    public double BodyBytesPerSecond { get; init; } = 240;

    /// <summary>Time in which a slow body may be slow before that counts.</summary>
    [Range(typeof(TimeSpan), "00:00:01.001", "00:10:00")]
    public TimeSpan BodyGrace { get; init; } = TimeSpan.FromSeconds(5);
}
