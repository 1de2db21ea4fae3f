using System.Security.Cryptography;
using System.Text;
using NSec.Cryptography;

namespace ModelOps.Registry;

/// <summary>The Ed25519 key that this installation signs with: <c>signing.key</c> (PKCS#8 PEM) in the keys folder.</summary>
public sealed class SigningKey : IDisposable
{
    private readonly Key key;

    private SigningKey(Key key)
    {
        this.key = key;
        KeyId = IdOf(key.PublicKey);
    }

    /// <summary>First 16 hex digits of the SHA-256 of the raw public key.</summary>
    public string KeyId { get; }

    /// <summary>
    /// Makes the folder (0700) and the key (0600) at the first call and puts the public key among the trusted ones.
    /// To rotate, move <c>signing.key</c> away: the old public key stays trusted.
    /// </summary>
    /// <exception cref="InvalidOperationException">The private key is readable by others.</exception>
    /// <exception cref="InvalidDataException">The key file holds no Ed25519 key.</exception>
    public static SigningKey LoadOrCreate(string keysFolder)
    {
        KeyFiles.CreateFolder(keysFolder);
        var path = Path.Combine(keysFolder, "signing.key");
        if (!File.Exists(path))
            Create(path);
        var loaded = new SigningKey(Read(path));
        loaded.Publish(keysFolder);
        return loaded;
    }

    /// <returns>64 bytes.</returns>
    public byte[] Sign(ReadOnlySpan<byte> message) => SignatureAlgorithm.Ed25519.Sign(key, message);

    public void Dispose() => key.Dispose();

    internal static string IdOf(PublicKey key) =>
        Convert.ToHexStringLower(SHA256.HashData(key.Export(KeyBlobFormat.RawPublicKey)))[..16];

    private static void Create(string path)
    {
        var exportable = new KeyCreationParameters { ExportPolicy = KeyExportPolicies.AllowPlaintextExport };
        using var created = Key.Create(SignatureAlgorithm.Ed25519, exportable);
        KeyFiles.CreateIfAbsent(path, Encoding.ASCII.GetString(created.Export(KeyBlobFormat.PkixPrivateKeyText)), KeyFiles.Private);
    }

    private static Key Read(string path)
    {
        KeyFiles.RefuseIfOthersCanRead(path);
        var pem = File.ReadAllBytes(path);
        return Key.TryImport(SignatureAlgorithm.Ed25519, pem, KeyBlobFormat.PkixPrivateKeyText, out var key)
            ? key!
            : throw new InvalidDataException(
                $"{path} holds no Ed25519 private key (PKCS#8 PEM). Restore it from a backup, or move it away for a new key.");
    }

    private void Publish(string keysFolder)
    {
        var folder = TrustedKeys.FolderIn(keysFolder);
        KeyFiles.CreateFolder(folder);
        var path = Path.Combine(folder, $"{KeyId}.pub");
        if (!File.Exists(path))
            KeyFiles.CreateIfAbsent(path, Encoding.ASCII.GetString(key.PublicKey.Export(KeyBlobFormat.PkixPublicKeyText)), KeyFiles.Public);
    }
}
