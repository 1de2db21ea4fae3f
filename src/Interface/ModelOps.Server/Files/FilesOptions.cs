using System.ComponentModel.DataAnnotations;

namespace ModelOps.Server.Files;

/// <summary>What may be uploaded through OpenAI's API.</summary>
public sealed record FilesOptions
{
    /// <summary>Largest uploaded file in bytes.</summary>
    [Range(1024, 1L << 40)]
    public long MaxBytes { get; init; } = 512L << 20;
}
