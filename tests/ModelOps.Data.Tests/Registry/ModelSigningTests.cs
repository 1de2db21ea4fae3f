using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using ModelOps.Data.Tests.Datasets;
using ModelOps.Registry;

namespace ModelOps.Data.Tests.Registry;

/// <summary>OpenSSF Model Signing v1.0 against the published test vectors and schemas.</summary>
public sealed class ModelSigningTests : IDisposable
{
    private const string schemas = "oms/schemas/v1.0";
    private static readonly DateTimeOffset now = new(2026, 3, 1, 12, 0, 0, TimeSpan.Zero);
    private readonly TempFolder home = new();

    /// <summary>
    /// The key of the vector: recovered from its ECDSA signature, and named by the vector's hint, which is the SHA-256 of this text.
    /// </summary>
    private const string VectorKey =
        """
        -----BEGIN PUBLIC KEY-----
        MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAEsu6rZGBTjxtvRWPMixT+3HyndV0J0Ybt
        aHZUcO4DEK+OJHO/4e32bb/fbJKSpRgcBsIpKLcVijUomyFOERbd7u+BTPSUjGZD
        Qq6J7lTvp/EAXQGOKxW9RP0MGX3qAkvi
        -----END PUBLIC KEY-----

        """;

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    public void Dispose() => home.Dispose();

    [Fact]
    public void Verify_KeyVector_IsVerified()
    {
        var found = OmsVerifier.Verify(Vector("valid/key"), TrustKey);
        Assert.Equal(("key", true), (found.Method, found.Verified));
        Assert.Equal(["signme-1", "signme-2"], found.Files.Keys);
    }

    [Fact]
    public void Verify_KeyThatIsNotTrusted_IsRefused()
    {
        var found = OmsVerifier.Verify(Vector("valid/key"), new OmsTrust { Now = now });
        Assert.Contains("is not trusted", Assert.Single(found.Faults), StringComparison.Ordinal);
        Assert.Empty(found.Files);
    }

    [Fact]
    public void Verify_CertificateVectorWithItsAuthority_IsVerified()
    {
        var found = OmsVerifier.Verify(Vector("valid/certificate"), Trust(CertificateAuthority(), now));
        Assert.Equal(("certificate", true), (found.Method, found.Verified));
    }

    [Fact]
    public void Verify_CertificateOfAnotherAuthorityOrOutOfDate_IsRefused()
    {
        var unknown = OmsVerifier.Verify(Vector("valid/certificate"), new OmsTrust { Now = now });
        Assert.Contains("does not lead to a trusted authority", Assert.Single(unknown.Faults), StringComparison.Ordinal);
        var late = OmsVerifier.Verify(Vector("valid/certificate"), Trust(CertificateAuthority(), now.AddYears(20)));
        Assert.Contains("certificate: ", Assert.Single(late.Faults), StringComparison.Ordinal);
    }

    [Fact]
    public void Verify_SigstoreVector_ChecksWhatNeedsNoNetworkAndNamesTheRest()
    {
        var found = OmsVerifier.Verify(Vector("valid/sigstore"), new OmsTrust { Now = now });
        Assert.Equal("sigstore", found.Method);
        Assert.Empty(found.Faults);
        Assert.False(found.Verified);
        Assert.Equal(["the certificate's issuer", "the log's signatures", "the certificate's timestamp", "the RFC 3161 timestamps"],
            found.Unchecked.Select(text => text[..text.IndexOfAny([':', '('])].Trim()));
    }

    [Theory]
    [InlineData("canonicalizedBody")]
    [InlineData("rootHash")]
    [InlineData("integratedTime")]
    public void Verify_SigstoreVectorWithAnEditedLogEntry_IsRefused(string member)
    {
        var bundle = JsonNode.Parse(Vector("valid/sigstore"))!;
        var entry = bundle["verificationMaterial"]!["tlogEntries"]![0]!;
        var holder = member == "rootHash" ? entry["inclusionProof"]! : entry;
        var text = holder[member]!.GetValue<string>();
        holder[member] = member == "integratedTime" ? "1760072340" : (text[0] == 'A' ? 'B' : 'A') + text[1..];
        Assert.NotEmpty(OmsVerifier.Verify(Bytes(bundle), new OmsTrust { Now = now }).Faults);
    }

    [Theory]
    [InlineData("invalid/empty", "not an OMS bundle")]
    [InlineData("invalid/missing-envelope", "dsseEnvelope")]
    [InlineData("invalid/missing-tlog-entries", "tlogEntries")]
    [InlineData("invalid/missing-verification-material", "verificationMaterial")]
    [InlineData("invalid-payload/wrong-predicate", "predicateType")]
    public void Verify_InvalidVector_IsRefusedWithItsReason(string vector, string reason)
    {
        var found = OmsVerifier.Verify(Vector(vector), Trust(CertificateAuthority(), now));
        Assert.Contains(found.Faults, fault => fault.Contains(reason, StringComparison.Ordinal));
        Assert.False(found.Verified);
    }

    /// <summary>No byte of payload or signature can change unseen.</summary>
    [Fact]
    public void Verify_AnyByteOfPayloadOrSignatureChanged_IsRefused()
    {
        var seed = new Random(20260301);
        var valid = Vector("valid/key");
        for (var i = 0; i < 500; i++)
        {
            var bundle = JsonNode.Parse(valid)!;
            var (holder, member) = i % 2 == 0 ? (bundle["dsseEnvelope"]!, "payload") : (bundle["dsseEnvelope"]!["signatures"]![0]!, "sig");
            var bytes = Convert.FromBase64String(holder[member]!.GetValue<string>());
            bytes[seed.Next(bytes.Length)] ^= (byte)(1 << seed.Next(8));
            holder[member] = Convert.ToBase64String(bytes);
            Assert.NotEmpty(OmsVerifier.Verify(Bytes(bundle), TrustKey).Faults);
        }
    }

    /// <summary>The oracle: whatever bytes come, there is an answer, and only the signed files are ever vouched for.</summary>
    [Fact]
    public void Verify_MutatedBundles_NeverThrowsAndNeverVouchesForOthers()
    {
        var seed = new Random(20260302);
        var signed = OmsVerifier.Verify(Vector("valid/key"), TrustKey).Files;
        foreach (var vector in new[] { "valid/key", "valid/certificate", "valid/sigstore" })
        {
            for (var i = 0; i < 1000; i++)
            {
                var bytes = Vector(vector);
                for (var edits = seed.Next(1, 4); edits > 0; edits--)
                    bytes[seed.Next(bytes.Length)] = (byte)seed.Next(256);
                var found = OmsVerifier.Verify(bytes.AsSpan(0, seed.Next(10) == 0 ? seed.Next(bytes.Length) : bytes.Length), TrustKey);
                if (found is { Method: "key", Verified: true })
                    Assert.Equal(signed, found.Files);
            }
        }
    }

    [Fact]
    public async Task Register_Artifact_WritesABundleThatVerifiesAndValidatesAgainstTheSchemas()
    {
        using var registry = await TestRegistry.CreateAsync(TestDatabase.Sqlite);
        var draft = await registry.DraftAsync("base");
        var root = await registry.RegisterAsync(draft with { Files = [.. draft.Files, await registry.StoreAsync(".gitattributes", "x")] });
        var bundle = await File.ReadAllBytesAsync(registry.Store.LocalPath("artifacts/bundles/base/1.sigstore.json")!, Stop);

        var trust = new OmsTrust { Now = now, FindKey = hint => hint == registry.Key.Public.BundleHint ? registry.Key.Public.BundlePem : null };
        var found = OmsVerifier.Verify(bundle, trust);
        Assert.Empty(found.Faults);
        Assert.True(found.Verified);
        Assert.Equal(
            root.Manifest.Files.Where(file => file.Path != ".gitattributes").ToDictionary(file => file.Path, file => file.Sha256), found.Files);

        var folder = SharedData.Find(schemas);
        var statement = Convert.FromBase64String(JsonNode.Parse(bundle)!["dsseEnvelope"]!["payload"]!.GetValue<string>());
        var all = Directory.GetFiles(folder).Select(path => JsonNode.Parse(File.ReadAllBytes(path))).ToArray();
        await Schemas.AssertValidAsync(all, "https://model_signing/bundle/v1.0/schema", JsonNode.Parse(bundle)!, Stop);
        await Schemas.AssertValidAsync(all, "https://model_signing/statement/v1.0/schema", JsonNode.Parse(statement)!, Stop);
    }

    /// <summary>Names that differ above U+FFFF are sorted by code point, not by UTF-16 unit.</summary>
    [Fact]
    public async Task Register_NamesAboveTheBasicPlane_SortsByCodePoint()
    {
        using var registry = await TestRegistry.CreateAsync(TestDatabase.Sqlite);
        var draft = await registry.DraftAsync("base");
        string[] names = ["\uFB01.bin", "\U0001F600.bin"];
        await registry.RegisterAsync(draft with { Files = [await registry.StoreAsync(names[1], "b"), await registry.StoreAsync(names[0], "a")] });
        var bundle = await File.ReadAllBytesAsync(registry.Store.LocalPath("artifacts/bundles/base/1.sigstore.json")!, Stop);
        var trust = new OmsTrust { Now = now, FindKey = _ => registry.Key.Public.BundlePem };
        Assert.Equal(names, OmsVerifier.Verify(bundle, trust).Files.Keys);
    }

    private static OmsTrust TrustKey { get; } = new()
    {
        Now = now,
        FindKey = hint => hint == Convert.ToHexStringLower(SHA256.HashData(Encoding.ASCII.GetBytes(VectorKey))) ? VectorKey : null,
    };

    private static OmsTrust Trust(X509Certificate2 authority, DateTimeOffset at) => new() { Now = at, Authorities = [authority] };

    /// <summary>The vector's own intermediate: its root is not published with it.</summary>
    private static X509Certificate2 CertificateAuthority() => X509CertificateLoader.LoadCertificate(JsonNode.Parse(Vector("valid/certificate"))!
        ["verificationMaterial"]!["x509CertificateChain"]!["certificates"]![1]!["rawBytes"]!.GetValue<JsonElement>().GetBytesFromBase64());

    private static byte[] Bytes(JsonNode node) => Encoding.UTF8.GetBytes(node.ToJsonString());

    private static byte[] Vector(string name) => File.ReadAllBytes(SharedData.Find($"oms/test-vectors/v1.0/{name}.bundle.json"));
}
