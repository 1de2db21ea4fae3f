using System.ComponentModel.DataAnnotations;
using System.Text.Json;
using Amazon;
using Amazon.Runtime;
using Amazon.S3;

namespace ModelOps.Storage;

/// <summary>The options cannot be used.</summary>
/// <param name="faults">Each with the key of the option and what to do.</param>
public sealed class ObjectStoreOptionsException(IReadOnlyList<string> faults) : Exception(string.Join('\n', faults))
{
    public IReadOnlyList<string> Faults => faults;
}

/// <summary>The two stores of an installation: files below its home folder, or <c>objects/</c> and <c>tables/</c> in one bucket.</summary>
public sealed class ObjectStores : IDisposable
{
    private readonly AmazonS3Client? client;

    private ObjectStores(ObjectStoreOptions options, string home, MasterKeys? keys)
    {
        if (options.Kind == ObjectStoreKind.S3) client = Client(options);
        IObjectStore Store(string name)
        {
            IObjectStore store = client is null
                ? new FileObjectStore(Path.Combine(home, name))
                : new S3ObjectStore(client, options.Bucket!, $"{options.Prefix}{name}/");
            return keys is null ? store : new EncryptedObjectStore(store, keys);
        }
        Objects = Store("objects");
        Tables = Store("tables");
    }

    /// <summary>Files and manifests of artifacts, by digest and by name.</summary>
    public IObjectStore Objects { get; }

    /// <summary>Delta tables.</summary>
    public IObjectStore Tables { get; }

    /// <param name="home">Folder for stores of files.</param>
    /// <exception cref="ObjectStoreOptionsException">Every fault of the options, found before anything is opened.</exception>
    public static ObjectStores Open(ObjectStoreOptions options, string home)
    {
        List<string> faults = [.. Faults(options)];
        var keys = options.Encryption is { } encryption ? MasterKeyReader.Read(encryption, faults) : null;
        return faults.Count == 0 ? new(options, home, keys) : throw new ObjectStoreOptionsException(faults);
    }

    /// <summary>What anyone keeps in a bucket, below the options' prefix, which ends with '/' or is empty.</summary>
    /// <returns>The store, and the client that it uses, to be disposed after it.</returns>
    /// <exception cref="ObjectStoreOptionsException">Every fault of the options.</exception>
    public static (IObjectStore Store, IDisposable Client) OpenBucket(ObjectStoreOptions options)
    {
        var faults = Faults(options).ToList();
        if (faults.Count > 0) throw new ObjectStoreOptionsException(faults);
        var connection = Client(options);
        return (new S3ObjectStore(connection, options.Bucket!, options.Prefix), connection);
    }

    /// <summary>Brings both stores under the current master key: <see cref="EncryptedObjectStore.RewrapAsync"/>.</summary>
    /// <returns>Nothing to do where they are not encrypted.</returns>
    public async Task<RewrapReport> RewrapAsync(CancellationToken cancellationToken = default)
    {
        var report = new RewrapReport(0, 0, []);
        foreach (var store in new[] { Objects, Tables }.OfType<EncryptedObjectStore>())
        {
            var done = await store.RewrapAsync(cancellationToken).ConfigureAwait(false);
            report = new(report.Rewrapped + done.Rewrapped, report.Current + done.Current, [.. report.Refused, .. done.Refused]);
        }
        return report;
    }

    public void Dispose() => client?.Dispose();

    private static IEnumerable<string> Faults(ObjectStoreOptions options)
    {
        var results = new List<ValidationResult>();
        var context = new ValidationContext(options);
        Validator.TryValidateObject(options, context, results, validateAllProperties: true);
        results.AddRange(options.Validate(context)); // the validator leaves these out where an attribute failed
        return results.Select(result => $"{string.Join(" and ", result.MemberNames.Select(JsonNamingPolicy.SnakeCaseLower.ConvertName))}: {result.ErrorMessage}").Distinct();
    }

    private static AmazonS3Client Client(ObjectStoreOptions options)
    {
        var config = new AmazonS3Config { AuthenticationRegion = options.Region, ForcePathStyle = options.PathStyle ?? options.Endpoint is not null };
        if (options.Endpoint is null) config.RegionEndpoint = RegionEndpoint.GetBySystemName(options.Region);
        else config.ServiceURL = options.Endpoint;
        return options.AccessKey is null
            ? new AmazonS3Client(config)
            : new AmazonS3Client(new BasicAWSCredentials(options.AccessKey, options.SecretKey), config);
    }
}
