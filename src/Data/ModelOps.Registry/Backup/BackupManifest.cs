using System.Text.Json.Serialization;

namespace ModelOps.Registry;

/// <summary>What an archive holds: its first member, <c>manifest.json</c>.</summary>
internal sealed record BackupManifest
{
    public const string Path = "manifest.json";
    public const int CurrentFormat = 1;

    public required int Format { get; init; }
    public required DateTimeOffset CreatedAt { get; init; }
    /// <summary>The ModelOps that wrote it.</summary>
    public required string Version { get; init; }
    /// <summary>Name of the last migration of the database.</summary>
    public required string Schema { get; init; }
    /// <summary>For people: a backup of one database restores into the other.</summary>
    public required string Provider { get; init; }
    public required IReadOnlyList<BackupTable> Tables { get; init; }
    /// <summary>The keys folder, where it was asked for.</summary>
    public required IReadOnlyList<BackupKey> Keys { get; init; }
}

/// <summary><c>tables/NAME.jsonl</c>: a JSON object per row.</summary>
internal sealed record BackupTable(string Name, IReadOnlyList<string> Columns, long Rows, long Size, string Sha256)
{
    [JsonIgnore]
    public string Member => $"tables/{Name}.jsonl";
}

/// <summary><c>keys/PATH</c>.</summary>
/// <param name="Mode">Permissions, as chmod takes them.</param>
internal sealed record BackupKey(string Path, int Mode, long Size, string Sha256)
{
    [JsonIgnore]
    public string Member => $"keys/{Path}";
}

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, RespectNullableAnnotations = true, RespectRequiredConstructorParameters = true,
    WriteIndented = true)]
[JsonSerializable(typeof(BackupManifest))]
internal sealed partial class BackupJson : JsonSerializerContext;
