using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;
using NSec.Cryptography;

namespace ModelOps.Registry;

/// <summary>The public keys whose signatures are believed: every <c>trusted/*.pub</c> (PEM) in the keys folder that is not revoked.</summary>
/// <remarks>
/// Our own keys, old ones included, and those of others that an administrator added. <c>ID.json</c> beside a key says who added it,
/// <c>ID.revoked</c> why nothing that it signed may be used any more. Every use looks whether the folder has changed, so that a running
/// server and its workers, which have no database, obey a change at once.
/// </remarks>
public sealed class TrustedKeys
{
    private readonly string folder;
    private readonly Lock reloading = new();
    private volatile Snapshot snapshot;

    private TrustedKeys(string trustedFolder, Snapshot first)
    {
        folder = trustedFolder;
        snapshot = first;
    }

    /// <summary>Of the keys that are believed.</summary>
    public IReadOnlyCollection<string> KeyIds => [.. Fresh().Keys.Values.Where(key => key.Revocation is null).Select(key => key.KeyId)];

    /// <exception cref="InvalidDataException">A file holds no Ed25519 public key.</exception>
    public static TrustedKeys Load(string keysFolder)
    {
        var trusted = FolderIn(keysFolder);
        var loaded = Read(trusted);
        return loaded.Faults.Count == 0
            ? new TrustedKeys(trusted, loaded)
            : throw new InvalidDataException($"{string.Join(" ", loaded.Faults)} Replace or remove the file.");
    }

    /// <summary>All of them, revoked ones too, by id.</summary>
    public IReadOnlyList<TrustedKey> List() => [.. Fresh().Keys.Values.OrderBy(key => key.KeyId, StringComparer.Ordinal)];

    /// <returns>Null when the key is not in the folder.</returns>
    public TrustedKey? Find(string keyId) => Fresh().Keys.GetValueOrDefault(keyId);

    /// <summary>The key that an OMS bundle names by its hint.</summary>
    internal TrustedKey? FindBundleKey(string hint) => Fresh().Keys.Values.FirstOrDefault(key => key.Public.BundleHint == hint);

    public SignatureCheck Verify(string keyId, ReadOnlySpan<byte> message, ReadOnlySpan<byte> signature)
    {
        if (Find(keyId) is not { } key)
            return SignatureCheck.UntrustedKey;
        if (key.Revocation is not null)
            return SignatureCheck.RevokedKey;
        return SignatureAlgorithm.Ed25519.Verify(key.Public.Manifests, message, signature) ? SignatureCheck.Valid : SignatureCheck.Invalid;
    }

    internal static string FolderIn(string keysFolder) => Path.Combine(keysFolder, "trusted");

    private Snapshot Fresh()
    {
        var seen = snapshot;
        if (StampOf(folder) == seen.Stamp)
            return seen;
        lock (reloading)
        {
            return snapshot = Read(folder);
        }
    }

    /// <summary>A broken key file vouches for nothing; a broken revocation still revokes.</summary>
    private static Snapshot Read(string folder)
    {
        var stamp = StampOf(folder); // before reading: a change during it is seen at the next use
        var found = new Dictionary<string, TrustedKey>();
        var faults = new List<string>();
        foreach (var path in Directory.Exists(folder) ? Directory.EnumerateFiles(folder, "*.pub") : [])
        {
            if (!PublicKeys.TryParse(File.ReadAllText(path), out var keys, out var fault))
            {
                faults.Add($"{path}: {fault}.");
                continue;
            }
            // The id comes from the key itself: a file name proves nothing.
            var beside = Path.Combine(folder, keys.KeyId);
            found[keys.KeyId] = new TrustedKey(keys)
            {
                Added = ReadNote($"{beside}.json", TrustJson.Default.KeyAddition),
                Revocation = File.Exists($"{beside}.revoked")
                    ? ReadNote($"{beside}.revoked", TrustJson.Default.KeyRevocation)
                        ?? new KeyRevocation("its revocation cannot be read", "unknown", File.GetLastWriteTimeUtc($"{beside}.revoked"))
                    : null,
            };
        }
        return new Snapshot(stamp, found, faults);
    }

    private static T? ReadNote<T>(string path, JsonTypeInfo<T> type)
        where T : class
    {
        try
        {
            return File.Exists(path) ? JsonSerializer.Deserialize(File.ReadAllBytes(path), type) : null;
        }
        catch (JsonException)
        {
            return null;
        }
    }

    private static string StampOf(string folder)
    {
        var info = new DirectoryInfo(folder);
        return info.Exists
            ? string.Join('\n', info.EnumerateFiles().Select(file => $"{file.Name} {file.Length} {file.LastWriteTimeUtc.Ticks}").Order(StringComparer.Ordinal))
            : "";
    }

    private sealed record Snapshot(string Stamp, IReadOnlyDictionary<string, TrustedKey> Keys, IReadOnlyList<string> Faults);
}

public enum SignatureCheck
{
    Valid,
    Invalid,
    UntrustedKey,
    RevokedKey,
}

/// <param name="Public">Its Ed25519 key and, where known, the ECDSA key of the same signer.</param>
public sealed record TrustedKey(PublicKeys Public)
{
    public string KeyId => Public.KeyId;

    /// <summary>Null for this installation's own keys and for files put there by hand.</summary>
    public KeyAddition? Added { get; init; }

    /// <summary>Null while the key is believed.</summary>
    public KeyRevocation? Revocation { get; init; }
}

/// <param name="Name">Whose key it is.</param>
public sealed record KeyAddition(string Name, string By, DateTimeOffset At);

public sealed record KeyRevocation(string Reason, string By, DateTimeOffset At);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, RespectNullableAnnotations = true)]
[JsonSerializable(typeof(KeyAddition))]
[JsonSerializable(typeof(KeyRevocation))]
internal sealed partial class TrustJson : JsonSerializerContext;
