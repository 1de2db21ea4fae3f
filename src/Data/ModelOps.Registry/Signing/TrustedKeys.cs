using NSec.Cryptography;

namespace ModelOps.Registry;

/// <summary>The public keys whose signatures are believed: every <c>trusted/*.pub</c> (PEM) in the keys folder.</summary>
/// <remarks>
/// Our own keys, old ones included, and those of others that an administrator put there. Removing a file revokes the key.
/// </remarks>
public sealed class TrustedKeys
{
    private readonly Dictionary<string, PublicKey> keys;

    private TrustedKeys(Dictionary<string, PublicKey> keys) => this.keys = keys;

    public IReadOnlyCollection<string> KeyIds => keys.Keys;

    /// <summary>Reads the folder as it is now.</summary>
    /// <exception cref="InvalidDataException">A file holds no Ed25519 public key.</exception>
    public static TrustedKeys Load(string keysFolder)
    {
        var folder = FolderIn(keysFolder);
        var found = new Dictionary<string, PublicKey>();
        foreach (var path in Directory.Exists(folder) ? Directory.EnumerateFiles(folder, "*.pub") : [])
        {
            var key = Read(path);
            found[SigningKey.IdOf(key)] = key; // the id comes from the key itself: a file name proves nothing
        }
        return new TrustedKeys(found);
    }

    public SignatureCheck Verify(string keyId, ReadOnlySpan<byte> message, ReadOnlySpan<byte> signature)
    {
        if (!keys.TryGetValue(keyId, out var key))
            return SignatureCheck.UntrustedKey;
        return SignatureAlgorithm.Ed25519.Verify(key, message, signature) ? SignatureCheck.Valid : SignatureCheck.Invalid;
    }

    internal static string FolderIn(string keysFolder) => Path.Combine(keysFolder, "trusted");

    private static PublicKey Read(string path) =>
        PublicKey.TryImport(SignatureAlgorithm.Ed25519, File.ReadAllBytes(path), KeyBlobFormat.PkixPublicKeyText, out var key)
            ? key!
            : throw new InvalidDataException($"{path} holds no Ed25519 public key (PEM). Replace or remove the file.");
}

public enum SignatureCheck
{
    Valid,
    Invalid,
    UntrustedKey,
}
