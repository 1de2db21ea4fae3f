using ModelOps.Storage;
using ModelOps.Tables.Delta;

namespace ModelOps.Worker.Tables;

/// <summary>Where a table is, whoever's it is: nothing is written there.</summary>
internal sealed class TableLocation : IDisposable
{
    private const string Bucket = "s3://";
    private readonly IObjectStore store;
    private readonly IDisposable? client;
    private readonly string key;
    private readonly Uri? root;

    private TableLocation(IObjectStore store, string key, IDisposable? client, Uri? root) =>
        (this.store, this.key, this.client, this.root) = (store, key, client, root);

    /// <param name="path">A folder, or s3://bucket/prefix, with the settings of the server's bucket (MODELOPS__OBJECTS__…).</param>
    /// <exception cref="ArgumentException">It is neither.</exception>
    /// <exception cref="ObjectStoreOptionsException">The settings of the bucket cannot be used.</exception>
    public static TableLocation Open(string path)
    {
        if (path.StartsWith(Bucket, StringComparison.Ordinal)) return OpenBucket(path);
        var folder = Path.TrimEndingDirectorySeparator(Path.GetFullPath(path));
        return Path.GetDirectoryName(folder) is { } parent
            ? new(FileObjectStore.OpenReadOnly(parent), Path.GetFileName(folder), client: null, root: null)
            : throw new ArgumentException($"{path} is the root of the file system, which is no table", nameof(path));
    }

    public Task<DeltaTable?> OpenTableAsync(CancellationToken cancellationToken) =>
        DeltaTable.OpenAsync(store, key, root: root, cancellationToken: cancellationToken);

    public void Dispose() => client?.Dispose();

    private static TableLocation OpenBucket(string path)
    {
        var (bucket, key) = path[Bucket.Length..].Split('/', 2) is [var first, { Length: > 0 } rest]
            ? (first, rest.TrimEnd('/'))
            : throw new ArgumentException($"{path} has no path in the bucket; write it like s3://bucket/path/of/table", nameof(path));
        var options = ObjectStoreEnvironment.Read(Environment.GetEnvironmentVariables()) with { Kind = ObjectStoreKind.S3, Bucket = bucket, Prefix = "" };
        var (store, client) = ObjectStores.OpenBucket(options);
        return new(store, key, client, new(path.TrimEnd('/')));
    }
}
