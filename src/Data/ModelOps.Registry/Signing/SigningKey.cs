using System.Security.Cryptography;
using NSec.Cryptography;

namespace ModelOps.Registry;

/// <summary>
/// The keys that this installation signs with: <c>signing.key</c> in the keys folder, two PKCS#8 PEM blocks. The Ed25519 key signs
/// manifests and names the pair; the P-256 key signs the OpenSSF Model Signing bundles that other tools verify.
/// </summary>
public sealed class SigningKey : IDisposable
{
    private readonly string keys;
    private volatile KeyPair current;

    private SigningKey(string keysFolder, KeyPair pair)
    {
        keys = keysFolder;
        current = pair;
    }

    /// <summary>First 16 hex digits of the SHA-256 of the raw Ed25519 public key.</summary>
    public string KeyId => current.Public.KeyId;

    public PublicKeys Public => current.Public;

    /// <summary>One pair for everything that is signed together: a rotation in between changes neither key nor id.</summary>
    internal KeyPair Current => current;

    /// <summary>Makes the folder (0700) and the keys (0600) at the first call and puts the public keys among the trusted ones.</summary>
    /// <exception cref="InvalidOperationException">The private key is readable by others.</exception>
    /// <exception cref="InvalidDataException">The key file holds no Ed25519 key.</exception>
    public static SigningKey LoadOrCreate(string keysFolder)
    {
        KeyFiles.CreateFolder(keysFolder);
        var path = PathIn(keysFolder);
        if (!File.Exists(path))
        {
            using var created = KeyPair.Create();
            KeyFiles.CreateIfAbsent(path, created.ToPem(), KeyFiles.Private);
        }
        var loaded = Read(path);
        loaded.Publish(keysFolder);
        return new SigningKey(keysFolder, loaded);
    }

    /// <summary>A new pair signs from now on. The old public keys stay trusted; the old private keys are gone.</summary>
    /// <returns>The new key's id.</returns>
    public string Rotate()
    {
        var next = KeyPair.Create();
        next.Publish(keys); // before it signs: nothing is ever signed by a key that is not trusted
        KeyFiles.Replace(PathIn(keys), next.ToPem(), KeyFiles.Private);
        current = next; // who signs right now may hold the old pair; the finalizers of its handles free it
        return next.Public.KeyId;
    }

    /// <returns>64 bytes.</returns>
    public byte[] Sign(ReadOnlySpan<byte> message) => current.Sign(message);

    public void Dispose() => current.Dispose();

    private static string PathIn(string keysFolder) => Path.Combine(keysFolder, "signing.key");

    private static KeyPair Read(string path)
    {
        KeyFiles.RefuseIfOthersCanRead(path);
        var pair = KeyPair.TryParse(File.ReadAllText(path), out var complete)
            ?? throw new InvalidDataException(
                $"{path} holds no Ed25519 private key (PKCS#8 PEM). Restore it from a backup, or move it away for a new key.");
        if (!complete) // written before bundles were signed
            KeyFiles.Replace(path, pair.ToPem(), KeyFiles.Private);
        return pair;
    }
}

/// <summary>An Ed25519 key and the P-256 key beside it.</summary>
internal sealed class KeyPair : IDisposable
{
    private readonly Key manifestKey;
    private readonly byte[] bundleKey; // PKCS#8: an ECDsa made from it does not promise to be thread-safe, so each signature has its own

    private KeyPair(Key manifestKey, byte[] bundleKey)
    {
        this.manifestKey = manifestKey;
        this.bundleKey = bundleKey;
        using var bundles = BundleKey();
        Public = PublicKeys.Of(manifestKey.PublicKey, PublicKeys.PemBlock(bundles.ExportSubjectPublicKeyInfo()));
    }

    public PublicKeys Public { get; }

    private static KeyCreationParameters Exportable => new() { ExportPolicy = KeyExportPolicies.AllowPlaintextExport };

    public static KeyPair Create() => new(Key.Create(SignatureAlgorithm.Ed25519, Exportable), NewBundleKey());

    /// <param name="complete">False: there was no P-256 key, and one was made.</param>
    /// <returns>Null when the text holds no Ed25519 private key.</returns>
    public static KeyPair? TryParse(string pem, out bool complete)
    {
        byte[][] blocks = [.. PublicKeys.Blocks(pem, "PRIVATE KEY")];
        var bundle = blocks.FirstOrDefault(IsEcdsa);
        complete = bundle is not null;
        return blocks.Select(TryImport).FirstOrDefault(key => key is not null) is { } manifest
            ? new KeyPair(manifest, bundle ?? NewBundleKey())
            : null;
    }

    public byte[] Sign(ReadOnlySpan<byte> message) => SignatureAlgorithm.Ed25519.Sign(manifestKey, message);

    /// <returns>An ECDSA signature over the SHA-256, DER.</returns>
    public byte[] SignBundle(ReadOnlySpan<byte> message)
    {
        using var bundles = BundleKey();
        return bundles.SignData(message, HashAlgorithmName.SHA256, DSASignatureFormat.Rfc3279DerSequence);
    }

    public string ToPem() =>
        PemEncoding.WriteString("PRIVATE KEY", manifestKey.Export(KeyBlobFormat.PkixPrivateKey)) + "\n"
        + PemEncoding.WriteString("PRIVATE KEY", bundleKey) + "\n";

    public void Publish(string keysFolder)
    {
        var folder = TrustedKeys.FolderIn(keysFolder);
        KeyFiles.CreateFolder(folder);
        var path = Path.Combine(folder, $"{Public.KeyId}.pub");
        if (!File.Exists(path) || File.ReadAllText(path) != Public.Pem)
            KeyFiles.Replace(path, Public.Pem, KeyFiles.Public);
    }

    public void Dispose()
    {
        manifestKey.Dispose();
        CryptographicOperations.ZeroMemory(bundleKey);
    }

    private static byte[] NewBundleKey()
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        return key.ExportPkcs8PrivateKey();
    }

    private ECDsa BundleKey()
    {
        var key = ECDsa.Create();
        key.ImportPkcs8PrivateKey(bundleKey, out _);
        return key;
    }

    private static Key? TryImport(byte[] pkcs8) =>
        Key.TryImport(SignatureAlgorithm.Ed25519, pkcs8, KeyBlobFormat.PkixPrivateKey, out var key, Exportable) ? key : null;

    private static bool IsEcdsa(byte[] pkcs8)
    {
        using var key = ECDsa.Create();
        try
        {
            key.ImportPkcs8PrivateKey(pkcs8, out _);
            return true;
        }
        catch (CryptographicException)
        {
            return false;
        }
    }
}
