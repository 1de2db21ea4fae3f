using System.Text.Json;

namespace ModelOps.Client;

/// <summary>Names in an exported folder or tar, and what its manifest says.</summary>
internal static class PackageLayout
{
    public const string Files = "files/";
    public const string Parents = "parents/";
    public const string Keys = "keys/";
    public const string Envelope = "manifest.dsse.json";
    public const string Manifest = "manifest.json";
    public const string Signature = "manifest.sig";
    public const string SigningKey = "signing.pub";
    public const string Bundle = "model.sig";
    public const string BundleKey = "model.pub";
    public const string Bom = "bom.cdx.json";
    public const string Sums = "SHA256SUMS";
    public const string Readme = "README.md";

    /// <summary>Bytes of anything that is not one of the artifact's files.</summary>
    public const int MaxMetadata = 16 << 20;

    /// <summary>Entries that are not the artifact's files: ancestors and keys.</summary>
    public const int MaxMetadataEntries = 10_000;

    private static readonly string[] metadata =
        [Envelope, Manifest, Signature, SigningKey, Bundle, BundleKey, Bom, Sums, Readme];

    public static bool IsMetadata(string name) =>
        metadata.Contains(name, StringComparer.Ordinal)
        || IsIn(Parents, name, ".dsse.json")
        || IsIn(Keys, name, ".pub");

    /// <summary>Whether the path stays below any folder that it is joined to.</summary>
    public static bool IsSafe(string path) =>
        path.Length is > 0 and <= 4096
        && !path.Any(character => character is '\\' or ':' || char.IsControl(character))
        && path.Split('/').All(segment => segment is not ("" or "." or ".."));

    /// <summary>What an envelope carries, not yet believed.</summary>
    /// <exception cref="InvalidDataException">It is no signed manifest.</exception>
    public static PackageManifest Read(byte[] envelope)
    {
        try
        {
            using var outer = JsonDocument.Parse(envelope);
            var payload = outer.RootElement.GetProperty("payload").GetBytesFromBase64();
            var signature = outer.RootElement.GetProperty("signatures")[0];
            using var inner = JsonDocument.Parse(payload);
            var files = inner.RootElement.GetProperty("files").EnumerateArray().Select(file => new ArtifactFile(
                file.GetProperty("path").GetString()!, file.GetProperty("size").GetInt64(), file.GetProperty("sha256").GetString()!)).ToList();
            var unsafePath = files.Find(file => file.Path is null || !IsSafe(file.Path) || file.Size < 0 || !IsDigest(file.Sha256));
            if (unsafePath is not null)
                throw new InvalidDataException($"The manifest lists the file '{unsafePath.Path}', which no artifact can have.");
            if (files.DistinctBy(file => file.Path, StringComparer.Ordinal).Count() != files.Count)
                throw new InvalidDataException("The manifest lists a file twice.");
            var reference = $"{inner.RootElement.GetProperty("name").GetString()}@{inner.RootElement.GetProperty("version").GetString()}";
            return new PackageManifest(
                reference, files, payload, outer.RootElement.GetProperty("payloadType").GetString()!,
                signature.GetProperty("keyid").GetString()!, signature.GetProperty("sig").GetBytesFromBase64());
        }
        catch (Exception broken) when (broken is JsonException or KeyNotFoundException or InvalidOperationException or FormatException
            or IndexOutOfRangeException or ArgumentException)
        {
            throw new InvalidDataException($"It is not a signed manifest: {broken.Message}", broken);
        }
    }

    private static bool IsDigest(string? text) => text is { Length: 64 } && text.All(char.IsAsciiHexDigitLower);

    private static bool IsIn(string folder, string name, string ending) =>
        name.StartsWith(folder, StringComparison.Ordinal) && name.EndsWith(ending, StringComparison.Ordinal)
        && IsSafe(name) && !name[folder.Length..].Contains('/', StringComparison.Ordinal);
}

internal sealed record PackageManifest(
    string Reference, IReadOnlyList<ArtifactFile> Files, byte[] Payload, string PayloadType, string KeyId, byte[] Signature);
