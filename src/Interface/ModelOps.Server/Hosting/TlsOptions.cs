using System.ComponentModel.DataAnnotations;

namespace ModelOps.Server.Hosting;

/// <summary>The server's certificate. Without one of your own, a local CA in the home folder issues it and renews it.</summary>
public sealed record TlsOptions : IValidatableObject
{
    /// <summary>File of your own certificate: PEM with its chain, or PKCS #12 (.p12, .pfx) with the key inside.</summary>
    public string? Certificate { get; init; }

    /// <summary>File of the certificate's private key, PEM; not with PKCS #12.</summary>
    public string? Key { get; init; }

    /// <summary>Password of the encrypted key or of the PKCS #12 file.</summary>
    [DataType(DataType.Password)]
    public string? Password { get; init; }

    internal bool IsPkcs12 => Path.GetExtension(Certificate) is ".p12" or ".pfx";

    public IEnumerable<ValidationResult> Validate(ValidationContext validationContext)
    {
        if (Certificate is null && (Key ?? Password) is not null)
            yield return new("a key or password needs a certificate; set tls:certificate too", [nameof(Certificate)]);
        if (Certificate is not null && !IsPkcs12 && Key is null)
            yield return new("a PEM certificate needs its private key; set tls:key to its file", [nameof(Key)]);
        if (IsPkcs12 && Key is not null)
            yield return new("a PKCS #12 file has the key inside; remove tls:key", [nameof(Key)]);
    }
}
