using System.Globalization;
using System.Reflection;
using System.Text.Json;

namespace ModelOps.Registry;

/// <summary>An artifact as its maker describes it, before it is signed.</summary>
public sealed record ArtifactDraft
{
    public required string Name { get; init; }
    /// <value>The default is the next free whole number.</value>
    public string? Version { get; init; }
    public required string Kind { get; init; }
    /// <summary>Their blobs are stored already.</summary>
    public required IReadOnlyList<ManifestFile> Files { get; init; }
    public IReadOnlyList<ManifestParent> Parents { get; init; } = [];
    public JsonElement? Recipe { get; init; }
    public IReadOnlyDictionary<string, double> Metrics { get; init; } = new Dictionary<string, double>();
    public IReadOnlyDictionary<string, string> Attributes { get; init; } = new Dictionary<string, string>();

    /// <value>The default is the version of this ModelOps: workers are of the same build.</value>
    public string CodeVersion { get; init; } =
        typeof(ArtifactDraft).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()!.InformationalVersion;

    internal ArtifactManifest ToManifest(string createdBy, DateTimeOffset createdAt) => new()
    {
        Name = Name,
        Version = Version ?? 1.ToString(CultureInfo.InvariantCulture),
        Kind = Kind,
        Files = [.. Files.OrderBy(file => file.Path, StringComparer.Ordinal)],
        Parents = [.. Parents.OrderBy(parent => (parent.Role, parent.Artifact))],
        Recipe = Recipe,
        Metrics = Metrics,
        CodeVersion = CodeVersion,
        Attributes = Attributes,
        CreatedBy = createdBy,
        CreatedAt = createdAt,
    };
}

public abstract record Registration
{
    private Registration()
    {
    }

    public sealed record Registered(ArtifactManifest Manifest, string Digest) : Registration;

    /// <summary>This version exists already, and versions never change.</summary>
    public sealed record Conflict(string Reference) : Registration;

    /// <summary>Every fault found in the draft.</summary>
    public sealed record Invalid(IReadOnlyList<string> Errors) : Registration;
}

/// <summary>A registered artifact as the database lists it. Before using its files, call <see cref="ArtifactRegistry.UseAsync"/>.</summary>
/// <param name="Stage">One of <see cref="Stages"/>.</param>
/// <param name="FilesRemovedAt">When retention let its files go; null while it has them.</param>
public sealed record ArtifactEntry(ArtifactManifest Manifest, string Digest, string Stage, DateTimeOffset? FilesRemovedAt = null)
{
    /// <summary>Bytes of all files.</summary>
    public long Size => Manifest.Files.Sum(file => file.Size);
}

public static class Stages
{
    public const string Dev = "DEV";
    public const string Staging = "STAGING";
    public const string Production = "PRODUCTION";
    public const string Archived = "ARCHIVED";
}
