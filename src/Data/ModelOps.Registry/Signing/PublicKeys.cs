using System.Diagnostics.CodeAnalysis;
using System.Security.Cryptography;
using System.Text;
using NSec.Cryptography;

namespace ModelOps.Registry;

/// <summary>Who signs: an Ed25519 key for manifests and, where there is one, the ECDSA key of the same signer for OpenSSF bundles.</summary>
public sealed class PublicKeys
{
    private PublicKeys(PublicKey manifests, string? bundlePem)
    {
        Manifests = manifests;
        BundlePem = bundlePem;
    }

    internal PublicKey Manifests { get; }

    /// <summary>PEM of the ECDSA key (P-256, P-384 or P-521), as the OMS reference implementation writes it; null when there is none.</summary>
    public string? BundlePem { get; }

    /// <summary>One or two <c>PUBLIC KEY</c> blocks, Ed25519 first.</summary>
    public string Pem => ManifestPem + BundlePem;

    /// <summary>PEM of the Ed25519 key alone.</summary>
    public string ManifestPem => PemBlock(Manifests.Export(KeyBlobFormat.PkixPublicKey));

    /// <summary>First 16 hex digits of <see cref="Fingerprint"/>.</summary>
    public string KeyId => Fingerprint[..16];

    /// <summary>SHA-256 of the raw Ed25519 public key, hex: what people compare.</summary>
    public string Fingerprint => Convert.ToHexStringLower(SHA256.HashData(Manifests.Export(KeyBlobFormat.RawPublicKey)));

    /// <summary>How an OMS bundle names its key: SHA-256 of the PEM text, hex.</summary>
    public string? BundleHint => BundlePem is null ? null : HintOf(BundlePem);

    /// <param name="fault">What is wrong with the text.</param>
    public static bool TryParse(string pem, [NotNullWhen(true)] out PublicKeys? keys, [NotNullWhen(false)] out string? fault)
    {
        (keys, fault) = (null, null);
        PublicKey? manifests = null;
        string? bundle = null;
        foreach (var block in Blocks(pem, "PUBLIC KEY"))
        {
            if (PublicKey.TryImport(SignatureAlgorithm.Ed25519, block, KeyBlobFormat.PkixPublicKey, out var ed25519) && manifests is null)
                manifests = ed25519;
            else if (ed25519 is null && bundle is null && IsEcdsa(block))
                bundle = PemBlock(block);
            else
                fault ??= "a block is neither an Ed25519 nor an ECDSA public key, or there are two of a kind";
        }
        if (manifests is null)
            fault ??= "it holds no Ed25519 public key (PEM)";
        if (fault is not null)
            return false;
        keys = Of(manifests!, bundle);
        return true;
    }

    internal static PublicKeys Of(PublicKey manifests, string? bundlePem) => new(manifests, bundlePem);

    internal static string HintOf(string bundlePem) => Convert.ToHexStringLower(SHA256.HashData(Encoding.ASCII.GetBytes(bundlePem)));

    /// <summary>The text of OpenSSL and of Python's cryptography: lines of 64 characters and a newline at the end.</summary>
    internal static string PemBlock(byte[] subjectPublicKeyInfo) => PemEncoding.WriteString("PUBLIC KEY", subjectPublicKeyInfo) + "\n";

    /// <summary>The contents of every block with the label; text that is no PEM has none.</summary>
    internal static IEnumerable<byte[]> Blocks(string pem, string label)
    {
        for (var rest = pem; PemEncoding.TryFind(rest, out var found); rest = rest[found.Location.End..])
        {
            if (rest[found.Label] == label)
                yield return Convert.FromBase64String(rest[found.Base64Data]);
        }
    }

    private static bool IsEcdsa(byte[] subjectPublicKeyInfo)
    {
        try
        {
            using var key = ECDsa.Create();
            key.ImportSubjectPublicKeyInfo(subjectPublicKeyInfo, out _);
            return EcdsaKeys.HashOf(key) is not null;
        }
        catch (CryptographicException)
        {
            return false;
        }
    }
}

/// <summary>The curves of the OMS algorithm registry, each with its hash.</summary>
internal static class EcdsaKeys
{
    /// <returns>Null for a curve that is not one of P-256, P-384, P-521.</returns>
    public static HashAlgorithmName? HashOf(ECDsa key) => key.ExportParameters(includePrivateParameters: false).Curve.Oid switch
    {
        { Value: "1.2.840.10045.3.1.7" } or { FriendlyName: "nistP256" or "ECDSA_P256" } => HashAlgorithmName.SHA256,
        { Value: "1.3.132.0.34" } or { FriendlyName: "nistP384" or "ECDSA_P384" } => HashAlgorithmName.SHA384,
        { Value: "1.3.132.0.35" } or { FriendlyName: "nistP521" or "ECDSA_P521" } => HashAlgorithmName.SHA512,
        _ => null,
    };
}
