using System.ComponentModel.DataAnnotations;
using System.Text;

namespace ModelOps.Storage;

public enum ObjectStoreKind
{
    /// <summary>Files below the home folder.</summary>
    Files,

    /// <summary>A bucket of S3, MinIO or another server of that protocol.</summary>
    S3,
}

/// <summary>Where objects and tables are kept, and whether encrypted.</summary>
public sealed record ObjectStoreOptions : IValidatableObject
{
    public const string DefaultRegion = "us-east-1";

    /// <summary>Where objects and tables are: files below the home folder, or a bucket.</summary>
    /// <value>The default is files.</value>
    public ObjectStoreKind Kind { get; init; } = ObjectStoreKind.Files;

    /// <summary>URL of the server, for what is not AWS.</summary>
    [Url(ErrorMessage = "an http or https address")]
    public string? Endpoint { get; init; }

    /// <summary>The region of the bucket, as the server of the protocol names it.</summary>
    /// <value>The default is us-east-1.</value>
    [Required]
    public string Region { get; init; } = DefaultRegion;

    /// <summary>It must exist.</summary>
    [RegularExpression("[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", ErrorMessage = "{0} is no name of a bucket: 3 to 63 of a-z, 0-9, '.' and '-'")]
    public string? Bucket { get; init; }

    /// <summary>What everything in the bucket is put below; empty or ending with '/'.</summary>
    /// <value>The default is the whole bucket.</value>
    [RegularExpression("([A-Za-z0-9._=-]+/)*", ErrorMessage = "{0} is no prefix: folders of letters, digits, '.', '_', '=' and '-', each with a '/' behind it")]
    [MaxLength(256)]
    public string Prefix { get; init; } = "";

    /// <summary>Name of the credentials; without it and the secret key, the credentials of the AWS environment, profile or machine.</summary>
    public string? AccessKey { get; init; }

    /// <summary>The secret of the access key.</summary>
    [DataType(DataType.Password)]
    public string? SecretKey { get; init; }

    /// <summary>Whether the bucket stands in the path and not in the host name.</summary>
    /// <value>The default is true where an endpoint is set.</value>
    public bool? PathStyle { get; init; }

    /// <value>The default is no encryption at rest.</value>
    public ObjectEncryptionOptions? Encryption { get; init; }

    public IEnumerable<ValidationResult> Validate(ValidationContext validationContext)
    {
        if (Kind == ObjectStoreKind.S3 && string.IsNullOrEmpty(Bucket))
            yield return new("it is missing; name the bucket that holds the objects", [nameof(Bucket)]);
        if (AccessKey is null != SecretKey is null)
            yield return new("only one of them is set; set both, or none for the credentials of the machine", [nameof(AccessKey), nameof(SecretKey)]);
    }

    // A record prints all its members otherwise.
    private bool PrintMembers(StringBuilder text)
    {
        text.Append(Kind == ObjectStoreKind.Files ? "files" : $"bucket {Bucket} at {Endpoint ?? Region} below '{Prefix}'");
        text.Append(Encryption is null ? ", not encrypted" : ", encrypted");
        return true;
    }
}

/// <summary>
/// Master keys: 32 random bytes each, as base64 (<c>head -c 32 /dev/urandom | base64</c>). Files must be readable by their owner alone.
/// </summary>
public sealed record ObjectEncryptionOptions
{
    /// <summary>File with the key that encrypts what is put. This or <see cref="MasterKey"/>.</summary>
    public string? MasterKeyFile { get; init; }

    /// <summary>The key itself, meant for the environment.</summary>
    [DataType(DataType.Password)]
    public string? MasterKey { get; init; }

    /// <summary>Files with keys that encrypted what was put before, to read it and to bring it under the current key.</summary>
    public IReadOnlyList<string> PreviousMasterKeyFiles { get; init; } = [];

    /// <summary>Such keys themselves.</summary>
    [DataType(DataType.Password)]
    public IReadOnlyList<string> PreviousMasterKeys { get; init; } = [];

    // A record prints all its members otherwise.
    private bool PrintMembers(StringBuilder text)
    {
        text.Append(MasterKeyFile ?? "a key of the environment");
        return true;
    }
}
