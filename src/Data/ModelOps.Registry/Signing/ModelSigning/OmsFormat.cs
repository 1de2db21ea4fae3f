using System.Security.Cryptography;
using System.Text;
using System.Text.Json;

namespace ModelOps.Registry;

/// <summary>OpenSSF Model Signing v1.0: a Sigstore bundle over the files of an artifact, which other tools verify.</summary>
internal static class OmsFormat
{
    public const string MediaType = "application/vnd.dev.sigstore.bundle.v0.3+json";
    public const string PayloadType = "application/vnd.in-toto+json";
    public const string StatementType = "https://in-toto.io/Statement/v1";
    public const string PredicateType = "https://model_signing/signature/v1.0";
    public const string Method = "files";
    public const string HashType = "sha256";

    /// <summary>Left out of every bundle at the top of a model (spec 6.2).</summary>
    public static IReadOnlyList<string> IgnoredPaths { get; } = [".git", ".gitattributes", ".github", ".gitignore"];

    /// <summary>Where the bundle of an artifact is stored.</summary>
    public static string KeyOf(string name, string version) => $"artifacts/bundles/{name}/{version}.sigstore.json";

    /// <returns>Null when every file is one that bundles leave out: the spec has no bundle of nothing.</returns>
    public static byte[]? Sign(ArtifactManifest manifest, KeyPair key)
    {
        var resources = Resources(manifest);
        if (resources.Count == 0)
            return null;
        var statement = new OmsStatement
        {
            Type = StatementType,
            Subject =
            [
                new OmsSubject { Name = manifest.Name, Digest = new Dictionary<string, string> { [HashType] = RootDigest(resources) } },
            ],
            PredicateType = PredicateType,
            Predicate = new OmsPredicate
            {
                Resources = resources,
                Serialization = new OmsSerialization
                {
                    Method = Method,
                    HashType = HashType,
                    AllowSymlinks = false,
                    IgnorePaths = IgnoredPaths,
                },
            },
        };
        var payload = JsonSerializer.SerializeToUtf8Bytes(statement, OmsJson.Default.OmsStatement);
        var bundle = new OmsBundle
        {
            MediaType = MediaType,
            VerificationMaterial = new OmsVerificationMaterial
            {
                PublicKey = new OmsPublicKey(key.Public.BundleHint, RawBytes: null),
                TlogEntries = [],
            },
            DsseEnvelope = new OmsEnvelope
            {
                Payload = payload,
                PayloadType = PayloadType,
                Signatures = [new OmsSignature { Sig = key.SignBundle(Dsse.Message(PayloadType, payload)), Keyid = "" }],
            },
        };
        return JsonSerializer.SerializeToUtf8Bytes(bundle, OmsJson.Default.OmsBundle);
    }

    /// <returns>Why the bundle does not vouch for the artifact's files; null when it does.</returns>
    public static string? Fault(byte[] bundle, ArtifactManifest manifest, TrustedKeys keys)
    {
        var trust = new OmsTrust
        {
            FindKey = hint => keys.FindBundleKey(hint) is { Revocation: null } key ? key.Public.BundlePem : null,
            Now = manifest.CreatedAt,
        };
        var found = OmsVerifier.Verify(bundle, trust);
        if (!found.Verified)
            return $"the OMS bundle does not verify: {string.Join(" ", found.Faults.Concat(found.Unchecked))}";
        var expected = Resources(manifest).ToDictionary(resource => resource.Name, resource => resource.Digest);
        return found.Files.Count == expected.Count && found.Files.All(file => expected.GetValueOrDefault(file.Key) == file.Value)
            ? null
            : "the OMS bundle is of other files.";
    }

    /// <summary>The files in the order that the format demands, without those that it leaves out.</summary>
    public static IReadOnlyList<OmsResource> Resources(ArtifactManifest manifest) =>
    [
        .. manifest.Files
            .Where(file => !IgnoredPaths.Contains(file.Path.Split('/')[0]))
            .Select(file => new OmsResource { Name = file.Path, Digest = file.Sha256, Algorithm = HashType })
            .OrderBy(resource => resource.Name, CodePointOrder),
    ];

    /// <summary>SHA-256 over the files' digests in order (spec 6.5.1), hex.</summary>
    public static string RootDigest(IEnumerable<OmsResource> resources) =>
        Convert.ToHexStringLower(SHA256.HashData([.. resources.SelectMany(resource => Convert.FromHexString(resource.Digest))]));

    /// <summary>By code point, which is the order of the UTF-8 bytes; ordinal order of UTF-16 differs above U+FFFF.</summary>
    public static IComparer<string> CodePointOrder { get; } = Comparer<string>.Create(
        (left, right) => Encoding.UTF8.GetBytes(left).AsSpan().SequenceCompareTo(Encoding.UTF8.GetBytes(right)));
}
