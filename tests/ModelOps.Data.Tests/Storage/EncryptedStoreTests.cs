using Amazon.S3;
using ModelOps.Storage;

namespace ModelOps.Data.Tests.Storage;

/// <summary>The contract, kept by an encrypted store over files.</summary>
public sealed class EncryptedFileStoreTests : ObjectStoreContract, IDisposable
{
    private readonly string root = Directory.CreateTempSubdirectory("modelops-objects-").FullName;

    public EncryptedFileStoreTests() => Store = new EncryptedObjectStore(new FileObjectStore(root), TestKeys.First);

    protected override IObjectStore Store { get; }

    public void Dispose() => Directory.Delete(root, recursive: true);

    [Fact]
    public async Task LocalPathAndPresign_Always_AreNull()
    {
        await PutAsync("a", "x", PutMode.Replace);
        Assert.Null(Store.LocalPath("a"));
        Assert.Null(await Store.PresignAsync("a", TimeSpan.FromHours(1), Cancel));
    }
}

/// <summary>The contract, kept by an encrypted store over S3.</summary>
public sealed class EncryptedS3StoreTests(MotoServer server) : ObjectStoreContract, IClassFixture<MotoServer>, IAsyncLifetime
{
    private const string Bucket = "modelops";
    private readonly AmazonS3Client client = MotoClient.Create(server.Url);

    protected override IObjectStore Store => new EncryptedObjectStore(new S3ObjectStore(client, Bucket, "home/objects/"), TestKeys.First);

    public async ValueTask InitializeAsync()
    {
        await server.ResetAsync(Cancel);
        await client.PutBucketAsync(Bucket, Cancel);
    }

    public ValueTask DisposeAsync()
    {
        client.Dispose();
        return ValueTask.CompletedTask;
    }

    [Theory]
    [InlineData(0, 10, new[] { "0-65636" })]
    [InlineData(65_535, 2, new[] { "0-131188" })]
    [InlineData(65_536, 65_536, new[] { "0-83", "65636-131188" })]
    [InlineData(1_000_000, 1, new[] { "0-83", "983364-1048916" })]
    [InlineData(5_000_000, 10, new[] { "0-83", "4982036-5047588", "0-83", "1966644-" })] // that it ends before is proved by its last chunk
    public async Task OpenRead_Range_FetchesTheHeaderAndItsChunksOnly(long offset, int length, string[] expected)
    {
        var bytes = new byte[2_000_000];
        new Random(3).NextBytes(bytes);
        await Store.PutAsync("weights", new MemoryStream(bytes), PutMode.IfAbsent, Cancel);
        var ranges = new List<string>();
        using var watched = MotoClient.Create(server.Url, (request, send) =>
        {
            if (request.Method == HttpMethod.Get) ranges.Add(request.Headers.Range!.ToString()["bytes=".Length..]);
            return send();
        });
        var store = new EncryptedObjectStore(new S3ObjectStore(watched, Bucket, "home/objects/"), TestKeys.First);

        await using var stream = await store.OpenReadAsync("weights", offset, length, Cancel);
        using var read = new MemoryStream();
        await stream!.CopyToAsync(read, Cancel);

        Assert.Equal(bytes.Skip((int)offset).Take(length), read.ToArray());
        Assert.Equal(expected, ranges);
    }

    [Fact]
    public async Task OpenRead_ReplacedBetweenHeaderAndChunks_ReadsTheNewObject()
    {
        await Store.PutAsync("a", new MemoryStream(new byte[200_000]), PutMode.Replace, Cancel);
        var replaced = false;
        using var raced = MotoClient.Create(server.Url, async (request, send) =>
        {
            if (request.Headers.Range?.ToString() is "bytes=65636-131188" && !replaced)
            {
                replaced = true;
                await Store.PutAsync("a", new MemoryStream(Enumerable.Repeat((byte)7, 200_000).ToArray()), PutMode.Replace, Cancel);
            }
            return await send();
        });
        var store = new EncryptedObjectStore(new S3ObjectStore(raced, Bucket, "home/objects/"), TestKeys.First);

        await using var stream = await store.OpenReadAsync("a", 65_536, 3, Cancel);
        var read = new byte[3];
        await stream!.ReadExactlyAsync(read, Cancel);

        Assert.True(replaced);
        Assert.Equal([7, 7, 7], read);
    }
}

internal static class TestKeys
{
    public static MasterKeys First => new(Key(1));
    public static MasterKeys Second => new(Key(2), Key(1));
    public static MasterKeys SecondAlone => new(Key(2));

    public static byte[] Key(int seed)
    {
        var key = new byte[MasterKeys.KeyBytes];
        new Random(seed).NextBytes(key);
        return key;
    }
}
