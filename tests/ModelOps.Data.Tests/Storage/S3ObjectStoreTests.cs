using System.Net;
using System.Text;
using Amazon.S3;
using ModelOps.Storage;

namespace ModelOps.Data.Tests.Storage;

public sealed class S3ObjectStoreTests(MotoServer server) : ObjectStoreContract, IClassFixture<MotoServer>, IAsyncLifetime
{
    private const string Bucket = "modelops";
    private readonly AmazonS3Client client = MotoClient.Create(server.Url);

    protected override IObjectStore Store => new S3ObjectStore(client, Bucket);

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

    [Fact]
    public void LocalPath_Always_IsNull() => Assert.Null(Store.LocalPath("a"));

    [Theory]
    [InlineData(60)]
    [InlineData(7 * 24 * 3600)]
    public async Task Presign_Object_IsReadByItsUrlWithoutCredentials(int seconds)
    {
        await PutAsync("models/a b+c", "bytes", PutMode.Replace);

        var url = await Store.PresignAsync("models/a b+c", TimeSpan.FromSeconds(seconds), Cancel);

        Assert.StartsWith(server.Url, url!.AbsoluteUri, StringComparison.Ordinal);
        var query = System.Web.HttpUtility.ParseQueryString(url.Query);
        Assert.InRange(int.Parse(query["X-Amz-Expires"]!), seconds - 30, seconds);
        Assert.NotEmpty(query["X-Amz-Signature"]!);
        using var http = new HttpClient();
        Assert.Equal("bytes", await http.GetStringAsync(url, Cancel));
    }

    [Fact]
    public async Task AnyCall_WithAPrefix_StaysBelowIt()
    {
        var (objects, tables) = (new S3ObjectStore(client, Bucket, "home/objects/"), new S3ObjectStore(client, Bucket, "home/tables/"));
        await objects.PutAsync("a/b", new MemoryStream("o"u8.ToArray()), PutMode.IfAbsent, Cancel);
        Assert.True(await tables.PutAsync("a/b", new MemoryStream(new byte[17 << 20]), PutMode.IfAbsent, Cancel));
        await objects.CopyAsync("a/b", "c", Cancel);

        Assert.Equal(["home/objects/a/b", "home/objects/c", "home/tables/a/b"], await KeysAsync(""));
        Assert.Equal(["a/b", "c"], await KeysAsync(objects, ""));
        Assert.Equal(["c"], await KeysAsync(objects, "", "a/b"));
        Assert.Equal(17 << 20, (await tables.HeadAsync("a/b", Cancel))!.Size);
        Assert.EndsWith("/home/objects/c", (await objects.PresignAsync("c", TimeSpan.FromHours(1), Cancel))!.AbsolutePath, StringComparison.Ordinal);
        Assert.True(await objects.DeleteAsync("a/b", Cancel));
        Assert.Null(await objects.OpenReadAsync("a/b", cancellationToken: Cancel));
        Assert.Equal(["a/b"], await KeysAsync(tables, "a/"));
        var whole = string.Join('/', Enumerable.Repeat(new string('k', 200), 5)); // 1,004 bytes: no room for the prefix
        await Assert.ThrowsAsync<ArgumentException>(() => objects.HeadAsync(whole + "/0123456789", Cancel));
    }

    [Theory]
    [InlineData(10, null)] // the server's own answer to the repetition
    [InlineData(17 << 20, "PreconditionFailed")]
    [InlineData(17 << 20, "NoSuchUpload")]
    public async Task Put_AnswerLostAndRepeatedByTheClient_KnowsItsOwnObject(int size, string? repeated)
    {
        var stored = 0;
        using var lossy = MotoClient.Create(server.Url, async (request, send) =>
        {
            if (!Stores(request)) return await send();
            stored++;
            if (stored == 2 && repeated is not null) return Error(repeated);
            var response = await send();
            if (stored > 1) return response;
            response.Dispose();
            throw new HttpRequestException("connection reset");
        });
        var store = new S3ObjectStore(lossy, Bucket);

        Assert.True(await store.PutAsync("log/0.json", new MemoryStream(new byte[size]), PutMode.IfAbsent, Cancel));
        Assert.Equal(2, stored);
        Assert.False(await store.PutAsync("log/0.json", new MemoryStream(new byte[size]), PutMode.IfAbsent, Cancel));
    }

    [Theory]
    [InlineData(1, 10, true)]
    [InlineData(4, 10, true)]
    [InlineData(5, 10, false)]
    [InlineData(1, 17 << 20, false)] // its stream cannot be read again
    public async Task Put_ConflictWithAPutUnderWay_TriesAgainWhereItCan(int conflicts, int size, bool succeeds)
    {
        var left = conflicts;
        using var busy = MotoClient.Create(server.Url, (request, send) =>
            Stores(request) && Interlocked.Decrement(ref left) >= 0 ? Task.FromResult(Error("ConditionalRequestConflict")) : send());
        var store = new S3ObjectStore(busy, Bucket);
        Task<bool> Put() => store.PutAsync("a", new MemoryStream(new byte[size]), PutMode.IfAbsent, Cancel);

        if (succeeds) Assert.True(await Put());
        else await Assert.ThrowsAsync<ObjectStoreException>(Put);
        Assert.Equal(succeeds ? ["a"] : [], await KeysAsync(""));
    }

    [Fact]
    public async Task List_MoreThanAPage_ListsAll()
    {
        var pages = 0;
        using var small = MotoClient.Create(server.Url, (request, send) =>
        {
            if (!request.RequestUri!.Query.Contains("list-type=2", StringComparison.Ordinal)) return send();
            pages++;
            request.RequestUri = new(request.RequestUri + "&max-keys=3");
            return send();
        });
        string[] keys = [.. Enumerable.Range(0, 10).Select(i => $"_delta_log/{i:D20}.json")];
        foreach (var key in keys) await PutAsync(key, "{}", PutMode.Replace);

        Assert.Equal(keys[1..], await KeysAsync(new S3ObjectStore(small, Bucket), "_delta_log/", keys[0]));
        Assert.Equal(3, pages);
    }

    [Fact]
    public async Task Copy_MoreThanOneRequestMayCopy_StreamsIt()
    {
        await PutAsync("a", "bytes", PutMode.Replace);
        var copies = 0;
        using var huge = MotoClient.Create(server.Url, async (request, send) =>
        {
            var response = await send();
            if (request.Method == HttpMethod.Head) response.Content.Headers.ContentLength = (5L << 30) + 1;
            if (request.Headers.Contains("x-amz-copy-source")) copies++;
            return response;
        });

        await new S3ObjectStore(huge, Bucket).CopyAsync("a", "b", Cancel);

        Assert.Equal(0, copies);
        Assert.Equal("bytes", Encoding.UTF8.GetString(await ReadAsync("b")));
    }

    [Fact]
    public async Task Put_SourceFailsAfterAPart_AbortsTheUpload()
    {
        await Assert.ThrowsAsync<InvalidDataException>(() => Store.PutAsync("a", new Failing(20 << 20), PutMode.Replace, Cancel));
        var uploads = await client.ListMultipartUploadsAsync(Bucket, Cancel);
        Assert.Empty(uploads.MultipartUploads ?? []);
    }

    [Fact]
    public async Task AnyCall_NoSuchBucket_ThrowsWithBucketAndKey()
    {
        var store = new S3ObjectStore(client, "elsewhere");
        var put = await Assert.ThrowsAsync<ObjectStoreException>(() => store.PutAsync("a/b", new MemoryStream([1]), PutMode.Replace, Cancel));
        Assert.StartsWith($"a/b cannot be put in bucket elsewhere at {server.Url}", put.Message, StringComparison.Ordinal);
        await Assert.ThrowsAsync<ObjectStoreException>(() => store.OpenReadAsync("a/b", cancellationToken: Cancel));
        await Assert.ThrowsAsync<ObjectStoreException>(async () => await store.ListAsync("a/", cancellationToken: Cancel).ToListAsync(Cancel));
    }

    [Fact]
    public async Task AnyCall_NoServer_ThrowsIOException()
    {
        using var nowhere = MotoClient.Create("http://127.0.0.1:1", retries: 0);
        var store = new S3ObjectStore(nowhere, Bucket);
        await Assert.ThrowsAsync<ObjectStoreException>(() => store.PutAsync("a", new MemoryStream([1]), PutMode.Replace, Cancel));
        await Assert.ThrowsAsync<ObjectStoreException>(() => store.HeadAsync("a", Cancel));
        await Assert.ThrowsAsync<ObjectStoreException>(() => store.OpenReadAsync("a", cancellationToken: Cancel));
    }

    /// <summary>The request that makes an object appear: a whole put or the end of a multipart upload.</summary>
    private static bool Stores(HttpRequestMessage request) =>
        request.Method == HttpMethod.Put
            ? !request.RequestUri!.Query.Contains("partNumber", StringComparison.Ordinal)
            : request.Method == HttpMethod.Post && request.RequestUri!.Query.Contains("uploadId", StringComparison.Ordinal);

    private static HttpResponseMessage Error(string code) => new(code switch
    {
        "PreconditionFailed" => HttpStatusCode.PreconditionFailed,
        "ConditionalRequestConflict" => HttpStatusCode.Conflict,
        _ => HttpStatusCode.NotFound,
    })
    {
        Content = new StringContent(
            $"<Error><Code>{code}</Code><Message>said by the test</Message></Error>", Encoding.UTF8, "application/xml"),
    };
}
