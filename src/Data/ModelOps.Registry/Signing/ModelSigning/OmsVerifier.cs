using System.Diagnostics.CodeAnalysis;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;

namespace ModelOps.Registry;

/// <summary>
/// Verifies OpenSSF Model Signing v1.0 bundles without a network. Method <c>key</c> and <c>certificate</c> wholly; of <c>sigstore</c> the
/// signature, the log's inclusion proof and what was logged, while what needs Sigstore's own keys is named as unchecked.
/// </summary>
public static class OmsVerifier
{
    private const string codeSigning = "1.3.6.1.5.5.7.3.3";

    private static readonly string[] mediaTypes =
    [
        OmsFormat.MediaType,
        "application/vnd.dev.sigstore.bundle+json;version=0.3",
        "application/vnd.dev.sigstore.bundle+json;version=0.2",
        "application/vnd.dev.sigstore.bundle+json;version=0.1",
    ];

    public static OmsVerification Verify(ReadOnlySpan<byte> bundle, OmsTrust trust)
    {
        if (!TryRead(bundle, OmsJson.Default.OmsBundle, out var parsed, out var fault))
            return new OmsVerification(Method: null, [$"it is not an OMS bundle: {fault}"], [], new Dictionary<string, string>());

        var (faults, left) = (new List<string>(), new List<string>());
        if (!mediaTypes.Contains(parsed.MediaType))
            faults.Add($"its media type '{parsed.MediaType}' is not a Sigstore bundle's.");
        string? method = null;
        try
        {
            method = CheckMaterial(parsed, trust, faults, left);
        }
        catch (CryptographicException broken)
        {
            faults.Add($"verificationMaterial: a key or certificate cannot be used: {broken.Message}");
        }
        var files = CheckStatement(parsed.DsseEnvelope, faults);
        return new OmsVerification(method, faults, left, faults.Count == 0 ? files : new Dictionary<string, string>());
    }

    private static string? CheckMaterial(OmsBundle bundle, OmsTrust trust, List<string> faults, List<string> left)
    {
        switch (bundle.VerificationMaterial)
        {
            case { PublicKey: { } key, CertificateChain: null, Certificate: null }:
                CheckKey(bundle.DsseEnvelope, key, trust, faults);
                return "key";
            case { PublicKey: null, CertificateChain: { Certificates.Count: > 0 } chain, Certificate: null }:
                CheckCertificates(bundle.DsseEnvelope, chain.Certificates, trust, faults);
                return "certificate";
            case { PublicKey: null, CertificateChain: null, Certificate: { } certificate }:
                CheckSigstore(bundle, certificate, trust, faults, left);
                return "sigstore";
            default:
                faults.Add("verificationMaterial: it has none, or more than one, of publicKey, x509CertificateChain and certificate.");
                return null;
        }
    }

    private static void CheckKey(OmsEnvelope envelope, OmsPublicKey key, OmsTrust trust, List<string> faults)
    {
        var hint = key.Hint ?? (key.RawBytes is { } raw ? HintOf(raw) : null);
        if (hint is null)
            faults.Add("publicKey: it has neither a hint nor a readable key.");
        else if (trust.FindKey(hint) is not { } pem)
            faults.Add($"publicKey: the key {hint} is not trusted.");
        else
        {
            using var publicKey = ECDsa.Create();
            publicKey.ImportFromPem(pem);
            CheckSignature(envelope, publicKey, faults);
        }
    }

    private static void CheckCertificates(OmsEnvelope envelope, IReadOnlyList<OmsCertificate> chain, OmsTrust trust, List<string> faults)
    {
        if (Load(chain, faults) is not { } certificates)
            return;
        CheckChain(certificates, trust, trust.Now, faults);
        CheckSignature(envelope, certificates[0], faults);
        certificates.ForEach(certificate => certificate.Dispose());
    }

    private static void CheckSigstore(OmsBundle bundle, OmsCertificate leaf, OmsTrust trust, List<string> faults, List<string> left)
    {
        if (bundle.VerificationMaterial.TlogEntries is not { Count: > 0 } entries)
        {
            faults.Add("tlogEntries: a Sigstore signature needs at least one entry of a transparency log.");
            return;
        }
        if (Load([leaf], faults) is not { } certificates)
            return;
        CheckSignature(bundle.DsseEnvelope, certificates[0], faults);
        foreach (var entry in entries)
            RekorEntry.Check(entry, bundle.DsseEnvelope, leaf.RawBytes, faults);
        CheckIssuer(certificates, entries[0], trust, faults, left);
        left.Add("the log's signatures (signed entry timestamp, checkpoint): they need the key of the Rekor log.");
        left.Add("the certificate's timestamp (SCT): it needs the key of the certificate transparency log.");
        if (bundle.VerificationMaterial.TimestampVerificationData is not null)
            left.Add("the RFC 3161 timestamps: they need the certificate of the timestamp authority.");
        certificates.ForEach(certificate => certificate.Dispose());
    }

    /// <summary>A Fulcio certificate lives ten minutes: it must have been valid when the log took the signature in.</summary>
    private static void CheckIssuer(
        List<X509Certificate2> certificates, OmsLogEntry entry, OmsTrust trust, List<string> faults, List<string> left)
    {
        if (!long.TryParse(entry.IntegratedTime, out var seconds) || seconds is < 0 or > 253_402_300_799)
        {
            faults.Add("tlogEntries: the time of the entry is missing.");
            return;
        }
        var logged = DateTimeOffset.FromUnixTimeSeconds(seconds);
        if (logged < certificates[0].NotBefore.ToUniversalTime() || logged > certificates[0].NotAfter.ToUniversalTime())
            faults.Add($"certificate: it was not valid when it was logged, at {logged:u}.");
        if (trust.Authorities.Count == 0)
            left.Add("the certificate's issuer: it needs the root of the Fulcio authority.");
        else
            CheckChain(certificates, trust, logged, faults);
    }

    private static void CheckChain(List<X509Certificate2> certificates, OmsTrust trust, DateTimeOffset at, List<string> faults)
    {
        using var chain = new X509Chain();
        chain.ChainPolicy.TrustMode = X509ChainTrustMode.CustomRootTrust;
        chain.ChainPolicy.CustomTrustStore.AddRange(trust.Authorities.ToArray());
        chain.ChainPolicy.ExtraStore.AddRange(certificates.Skip(1).Concat(trust.Authorities).ToArray());
        chain.ChainPolicy.RevocationMode = X509RevocationMode.NoCheck;
        chain.ChainPolicy.DisableCertificateDownloads = true;
        chain.ChainPolicy.VerificationTime = at.UtcDateTime;
        chain.ChainPolicy.VerificationTimeIgnored = false;
        chain.ChainPolicy.ApplicationPolicy.Add(new Oid(codeSigning));
        // An authority in the middle of a chain may be the one that is trusted; the comparison below decides, not the platform's roots.
        chain.ChainPolicy.VerificationFlags = X509VerificationFlags.AllowUnknownCertificateAuthority;
        if (!chain.Build(certificates[0]))
            faults.Add($"certificate: {string.Join(" ", chain.ChainStatus.Select(status => status.StatusInformation.Trim()).Distinct())}");
        else if (!chain.ChainElements.Any(element => trust.Authorities.Any(trusted => trusted.RawData.SequenceEqual(element.Certificate.RawData))))
            faults.Add($"certificate: it does not lead to a trusted authority; it was issued by '{chain.ChainElements[^1].Certificate.Issuer}'.");
    }

    private static List<X509Certificate2>? Load(IReadOnlyList<OmsCertificate> certificates, List<string> faults)
    {
        try
        {
            return [.. certificates.Select(certificate => X509CertificateLoader.LoadCertificate(certificate.RawBytes))];
        }
        catch (CryptographicException broken)
        {
            faults.Add($"certificate: it cannot be read: {broken.Message}");
            return null;
        }
    }

    private static void CheckSignature(OmsEnvelope envelope, X509Certificate2 certificate, List<string> faults)
    {
        using var key = certificate.GetECDsaPublicKey();
        if (key is null)
            faults.Add("certificate: its key is not an ECDSA key.");
        else
            CheckSignature(envelope, key, faults);
    }

    private static void CheckSignature(OmsEnvelope envelope, ECDsa key, List<string> faults)
    {
        if (envelope.PayloadType != OmsFormat.PayloadType)
            faults.Add($"payloadType: '{envelope.PayloadType}' is not {OmsFormat.PayloadType}.");
        if (envelope.Signatures is not [var signature])
            faults.Add($"signatures: there are {envelope.Signatures.Count}, not one.");
        else if (EcdsaKeys.HashOf(key) is not { } hash)
            faults.Add("the key's curve is not one of P-256, P-384, P-521.");
        else if (!key.VerifyData(
            Dsse.Message(envelope.PayloadType, envelope.Payload), signature.Sig, hash, DSASignatureFormat.Rfc3279DerSequence))
            faults.Add("signature: it does not match the payload: one of them was changed.");
    }

    private static Dictionary<string, string> CheckStatement(OmsEnvelope envelope, List<string> faults)
    {
        var files = new Dictionary<string, string>();
        if (!TryRead(envelope.Payload, OmsJson.Default.OmsStatement, out var statement, out var fault))
        {
            faults.Add($"payload: it is not an OMS statement: {fault}");
            return files;
        }
        if (statement.Type != OmsFormat.StatementType)
            faults.Add($"_type: '{statement.Type}' is not {OmsFormat.StatementType}.");
        if (statement.PredicateType != OmsFormat.PredicateType)
            faults.Add($"predicateType: '{statement.PredicateType}' is not {OmsFormat.PredicateType}.");
        var serialization = statement.Predicate.Serialization;
        if (serialization is not { Method: OmsFormat.Method, HashType: OmsFormat.HashType, ShardSize: null })
            faults.Add($"serialization: '{serialization.Method}' with '{serialization.HashType}' is not supported, only files with sha256.");
        CheckResources(statement, files, faults);
        return files;
    }

    private static void CheckResources(OmsStatement statement, Dictionary<string, string> files, List<string> faults)
    {
        var resources = statement.Predicate.Resources;
        if (resources.Count == 0)
            faults.Add("resources: there is no file.");
        var before = faults.Count;
        foreach (var resource in resources)
        {
            if (resource.Name.Split('/').Any(segment => segment is "" or "." or ".."))
                faults.Add($"resources: '{resource.Name}' is not a relative path without '.' and '..'.");
            if (resource.Algorithm != OmsFormat.HashType || !ManifestRules.IsDigest(resource.Digest))
                faults.Add($"resources: '{resource.Name}' has no SHA-256.");
            if (!files.TryAdd(resource.Name, resource.Digest))
                faults.Add($"resources: '{resource.Name}' is there twice.");
        }
        if (!resources.Select(resource => resource.Name).SequenceEqual(files.Keys.Order(OmsFormat.CodePointOrder)))
            faults.Add("resources: they are not sorted by name.");
        if (statement.Subject is not [{ Name.Length: > 0 } subject] || !subject.Digest.TryGetValue(OmsFormat.HashType, out var root))
            faults.Add("subject: there is not one model with a SHA-256.");
        else if (faults.Count == before && root != OmsFormat.RootDigest(resources))
            faults.Add("subject: its digest is not the digest of the resources.");
    }

    private static string? HintOf(byte[] raw)
    {
        using var key = ECDsa.Create();
        try
        {
            if (raw.AsSpan().StartsWith("-----BEGIN"u8))
                key.ImportFromPem(Encoding.ASCII.GetString(raw));
            else
                key.ImportSubjectPublicKeyInfo(raw, out _);
            return PublicKeys.HintOf(PublicKeys.PemBlock(key.ExportSubjectPublicKeyInfo()));
        }
        catch (Exception broken) when (broken is CryptographicException or ArgumentException)
        {
            return null;
        }
    }

    private static bool TryRead<T>(
        ReadOnlySpan<byte> json,
        JsonTypeInfo<T> type,
        [NotNullWhen(true)] out T? document,
        out string fault)
        where T : class
    {
        (document, fault) = (null, "");
        try
        {
            document = JsonSerializer.Deserialize(json, type);
            fault = document is null ? "it is null" : "";
            return document is not null;
        }
        catch (JsonException broken)
        {
            fault = broken.Message;
            return false;
        }
    }
}
