using ModelOps.Storage;

namespace ModelOps.Data.Tests.Storage;

public sealed class ObjectStoresTests(MotoServer server) : IClassFixture<MotoServer>, IDisposable
{
    private readonly string home = Directory.CreateTempSubdirectory("modelops-home-").FullName;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public void Dispose() => Directory.Delete(home, recursive: true);

    [Fact]
    public async Task Open_Default_KeepsObjectsAndTablesAsFilesOfTheHome()
    {
        using var stores = ObjectStores.Open(new(), home);
        await PutAsync(stores.Objects, "a");
        await PutAsync(stores.Tables, "b");
        Assert.Equal(Path.Combine(home, "objects", "a"), stores.Objects.LocalPath("a"));
        Assert.True(File.Exists(Path.Combine(home, "tables", "b")));
    }

    [Theory]
    [InlineData("", "objects/a")]
    [InlineData("team/models/", "team/models/objects/a")]
    public async Task Open_S3_KeepsThemBelowTheirPrefixes(string prefix, string expected)
    {
        await server.ResetAsync(Cancel);
        using var client = MotoClient.Create(server.Url);
        await client.PutBucketAsync("bucket", Cancel);
        using var stores = ObjectStores.Open(S3() with { Prefix = prefix }, home);
        await PutAsync(stores.Objects, "a");
        await PutAsync(stores.Tables, "a");

        var keys = (await client.ListObjectsV2Async(new() { BucketName = "bucket" }, Cancel)).S3Objects.Select(o => o.Key);
        Assert.Equal([expected, expected.Replace("objects", "tables", StringComparison.Ordinal)], keys);
        Assert.Empty(Directory.GetFileSystemEntries(home));
    }

    [Fact]
    public async Task Open_EncryptedByKeysOfFileAndText_RotatesFromOneToTheOther()
    {
        var file = KeyFile("first.key", 1);
        using (var first = ObjectStores.Open(new() { Encryption = new() { MasterKeyFile = file } }, home)) await PutAsync(first.Objects, "a");
        var second = new ObjectEncryptionOptions { MasterKey = Convert.ToBase64String(TestKeys.Key(2)) };

        using (var alone = ObjectStores.Open(new() { Encryption = second }, home))
            await Assert.ThrowsAsync<ObjectIntegrityException>(() => alone.Objects.OpenReadAsync("a", cancellationToken: Cancel));
        using (var both = ObjectStores.Open(new() { Encryption = second with { PreviousMasterKeyFiles = [file] } }, home))
        {
            Assert.Equal("x", await ReadAsync(both.Objects, "a"));
            Assert.Equal(1, (await both.RewrapAsync(Cancel)).Rewrapped);
        }
        using (var alone = ObjectStores.Open(new() { Encryption = second }, home)) Assert.Equal("x", await ReadAsync(alone.Objects, "a"));
    }

    [Fact]
    public void Open_ManyFaults_NamesThemAllAndNoSecret()
    {
        var open = KeyFile("open.key", 3);
        File.SetUnixFileMode(open, File.GetUnixFileMode(open) | UnixFileMode.GroupRead);
        var options = new ObjectStoreOptions
        {
            Kind = ObjectStoreKind.S3,
            Endpoint = "not a URL",
            Bucket = "A",
            Prefix = "/team",
            SecretKey = "the-secret",
            Encryption = new()
            {
                MasterKeyFile = Path.Combine(home, "missing.key"),
                MasterKey = "bm90IHRoYXQgbG9uZw==",
                PreviousMasterKeyFiles = [open],
                PreviousMasterKeys = ["not base64"],
            },
        };

        var e = Assert.Throws<ObjectStoreOptionsException>(() => ObjectStores.Open(options, home));

        string[] expected =
        [
            "endpoint: ", "bucket: ", "prefix: ", "access_key and secret_key: only one", "encryption: set one of master_key_file and master_key",
            "encryption:master_key_file: ", "encryption:master_key: ", "encryption:previous_master_key_files:0: others may read", "encryption:previous_master_keys:0: ",
        ];
        Assert.Equal(expected.Length, e.Faults.Count);
        foreach (var start in expected) Assert.Contains(e.Faults, fault => fault.StartsWith(start, StringComparison.Ordinal));
        foreach (var secret in new[] { "the-secret", "bm90IHRoYXQgbG9uZw", "not base64", Convert.ToBase64String(TestKeys.Key(3)) })
        {
            Assert.DoesNotContain(secret, e.Message, StringComparison.Ordinal);
            Assert.DoesNotContain(secret, options.ToString(), StringComparison.Ordinal);
            Assert.DoesNotContain(secret, options.Encryption.ToString(), StringComparison.Ordinal);
        }
        Assert.Empty(Directory.GetDirectories(home));
    }

    [Theory]
    [InlineData(null)]
    [InlineData(true)]
    [InlineData(false)]
    public void ToEnvironment_AllSet_HoldsEveryOption(bool? pathStyle)
    {
        var options = S3() with
        {
            PathStyle = pathStyle,
            Region = "eu-west-1",
            Prefix = "p/",
            Encryption = new() { MasterKeyFile = "a.key", MasterKey = "b", PreviousMasterKeyFiles = ["/c", "/d"], PreviousMasterKeys = ["e"] },
        };
        var expected = new Dictionary<string, string>
        {
            ["KIND"] = "s3",
            ["ENDPOINT"] = server.Url,
            ["REGION"] = "eu-west-1",
            ["BUCKET"] = "bucket",
            ["PREFIX"] = "p/",
            ["ACCESS_KEY"] = "key",
            ["SECRET_KEY"] = "secret",
            ["ENCRYPTION__MASTER_KEY_FILE"] = Path.GetFullPath("a.key"),
            ["ENCRYPTION__MASTER_KEY"] = "b",
            ["ENCRYPTION__PREVIOUS_MASTER_KEY_FILES__0"] = "/c",
            ["ENCRYPTION__PREVIOUS_MASTER_KEY_FILES__1"] = "/d",
            ["ENCRYPTION__PREVIOUS_MASTER_KEYS__0"] = "e",
        };
        if (pathStyle is { } value) expected["PATH_STYLE"] = value ? "true" : "false";
        Assert.Equivalent(expected.ToDictionary(pair => ObjectStoreEnvironment.Prefix + pair.Key, pair => pair.Value), options.ToEnvironment(), strict: true);
        Assert.Equivalent(
            options with { Encryption = options.Encryption with { MasterKeyFile = Path.GetFullPath("a.key") } },
            ObjectStoreEnvironment.Read(options.ToEnvironment().ToDictionary()), strict: true);
        // An option that is added to the record must be handed over too.
        Assert.Equal(9, typeof(ObjectStoreOptions).GetProperties().Length);
        Assert.Equal(4, typeof(ObjectEncryptionOptions).GetProperties().Length);
    }

    private ObjectStoreOptions S3() =>
        new() { Kind = ObjectStoreKind.S3, Endpoint = server.Url, Bucket = "bucket", AccessKey = "key", SecretKey = "secret" };

    private string KeyFile(string name, int seed)
    {
        var path = Path.Combine(home, name);
        File.WriteAllText(path, Convert.ToBase64String(TestKeys.Key(seed)) + "\n");
        File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        return path;
    }

    private static Task PutAsync(IObjectStore store, string key) => store.PutAsync(key, new MemoryStream("x"u8.ToArray()), PutMode.IfAbsent, Cancel);

    private static async Task<string> ReadAsync(IObjectStore store, string key)
    {
        using var text = new StreamReader((await store.OpenReadAsync(key, cancellationToken: Cancel))!);
        return await text.ReadToEndAsync(Cancel);
    }
}
