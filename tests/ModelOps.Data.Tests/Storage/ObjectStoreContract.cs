using System.Text;
using ModelOps.Storage;

namespace ModelOps.Data.Tests.Storage;

/// <summary>What every object store must do; each store's test class derives from it.</summary>
public abstract class ObjectStoreContract
{
    protected abstract IObjectStore Store { get; }

    protected static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(100_000)]
    [InlineData((16 << 20) - 1)]
    [InlineData(16 << 20)]
    [InlineData((33 << 20) + 7)]
    public async Task Put_AnySize_ReadsBackTheSameBytes(int size)
    {
        var bytes = Bytes(size);
        Assert.True(await Store.PutAsync("models/base/weights", new Unseekable(new MemoryStream(bytes)), PutMode.Replace, Cancel));

        var read = await ReadAsync("models/base/weights");
        Assert.True(bytes.AsSpan().SequenceEqual(read));
        var info = await Store.HeadAsync("models/base/weights", Cancel);
        Assert.Equal(("models/base/weights", size), (info!.Key, info.Size));
        Assert.InRange(info.ModifiedAt, DateTimeOffset.UtcNow.AddMinutes(-5), DateTimeOffset.UtcNow.AddMinutes(5));
    }

    [Fact]
    public async Task Put_SeekableStreamNotAtItsStart_PutsWhatIsLeft()
    {
        using var content = new MemoryStream("headrest"u8.ToArray()) { Position = 4 };
        await Store.PutAsync("a", content, PutMode.IfAbsent, Cancel);
        Assert.Equal("rest", Encoding.UTF8.GetString(await ReadAsync("a")));
    }

    [Theory]
    [InlineData(10)]
    [InlineData(17 << 20)]
    public async Task Put_IfAbsentWhereOneIs_LeavesItAndAnswersFalse(int size)
    {
        Assert.True(await PutAsync("log/0.json", "first", PutMode.IfAbsent));
        Assert.False(await Store.PutAsync("log/0.json", new MemoryStream(Bytes(size)), PutMode.IfAbsent, Cancel));
        Assert.Equal("first", Encoding.UTF8.GetString(await ReadAsync("log/0.json")));
    }

    [Fact]
    public async Task Put_ReplaceWhereOneIs_ReplacesIt()
    {
        await PutAsync("a/b", "a longer first", PutMode.Replace);
        Assert.True(await PutAsync("a/b", "second", PutMode.Replace));
        Assert.Equal("second", Encoding.UTF8.GetString(await ReadAsync("a/b")));
    }

    [Fact]
    public async Task Put_ManyIfAbsentAtOnce_ExactlyOneSucceeds()
    {
        using var start = new Barrier(16);
        var wins = await Task.WhenAll(Enumerable.Range(0, 16).Select(writer => Task.Factory.StartNew(
            () =>
            {
                start.SignalAndWait(Cancel);
                return PutAsync("race", $"writer {writer}", PutMode.IfAbsent);
            },
            Cancel, TaskCreationOptions.LongRunning, TaskScheduler.Default).Unwrap()));

        var winner = Assert.Single(Enumerable.Range(0, 16), writer => wins[writer]);
        Assert.Equal($"writer {winner}", Encoding.UTF8.GetString(await ReadAsync("race")));
    }

    [Theory]
    [InlineData(100)]
    [InlineData(17 << 20)]
    public async Task Put_SourceFails_LeavesWhatWasThere(int readable)
    {
        await PutAsync("kept", "old", PutMode.Replace);

        await Assert.ThrowsAsync<InvalidDataException>(() => Store.PutAsync("kept", new Failing(readable), PutMode.Replace, Cancel));
        await Assert.ThrowsAsync<InvalidDataException>(() => Store.PutAsync("new", new Failing(readable), PutMode.IfAbsent, Cancel));

        Assert.Equal("old", Encoding.UTF8.GetString(await ReadAsync("kept")));
        Assert.Equal(["kept"], await KeysAsync(""));
    }

    [Fact]
    public async Task Put_Canceled_LeavesNothing()
    {
        using var canceled = new CancellationTokenSource();
        await canceled.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(
            () => Store.PutAsync("new", new MemoryStream([1]), PutMode.Replace, canceled.Token));
        Assert.Null(await Store.HeadAsync("new", Cancel));
    }

    [Theory]
    [InlineData(0, null, "0123456789")]
    [InlineData(3, null, "3456789")]
    [InlineData(0, 4L, "0123")]
    [InlineData(3, 4L, "3456")]
    [InlineData(8, 4L, "89")]
    [InlineData(10, null, "")]
    [InlineData(11, 5L, "")]
    [InlineData(4, 0L, "")]
    [InlineData(9, long.MaxValue, "9")]
    public async Task OpenRead_Range_ReadsThoseBytes(long offset, long? length, string expected)
    {
        await PutAsync("digits", "0123456789", PutMode.Replace);
        Assert.Equal(expected, Encoding.UTF8.GetString(await ReadAsync("digits", offset, length)));
    }

    [Fact]
    public async Task OpenRead_ReplacedMeanwhile_KeepsReadingTheOldBytes()
    {
        var old = Bytes(300_000);
        await Store.PutAsync("a", new MemoryStream(old), PutMode.Replace, Cancel);
        await using var open = await Store.OpenReadAsync("a", cancellationToken: Cancel);
        var first = new byte[1000];
        await open!.ReadExactlyAsync(first, Cancel);

        await PutAsync("a", "new", PutMode.Replace);

        using var rest = new MemoryStream();
        await open.CopyToAsync(rest, Cancel);
        Assert.True(old.AsSpan().SequenceEqual([.. first, .. rest.ToArray()]));
    }

    [Theory]
    [InlineData("nothing")]
    [InlineData("folder/nothing")]
    [InlineData("folder")]
    public async Task Read_NoSuchObject_IsNull(string key)
    {
        await PutAsync("folder/file", "x", PutMode.Replace);
        Assert.Null(await Store.OpenReadAsync(key, cancellationToken: Cancel));
        Assert.Null(await Store.OpenReadAsync(key, 1, 1, Cancel));
        Assert.Null(await Store.OpenReadAsync(key, 0, 0, Cancel));
        Assert.Null(await Store.HeadAsync(key, Cancel));
        Assert.False(await Store.DeleteAsync(key, Cancel));
    }

    [Theory]
    [InlineData(-1, null)]
    [InlineData(0, -1L)]
    public async Task OpenRead_NegativeRange_Throws(long offset, long? length) =>
        await Assert.ThrowsAsync<ArgumentOutOfRangeException>(() => Store.OpenReadAsync("a", offset, length, Cancel));

    [Fact]
    public async Task List_PrefixAndStart_AreInTheOrderOfUtf8Bytes()
    {
        string[] keys = ["a", "a-b", "a.b/c", "b/1", "b/10", "b/2", "b/2.x", "b/2/3", "b/ab", "b/é", "b/\uE000", "b/\U0001F600", "c"];
        foreach (var key in keys.Where(key => key != "b/2").Reverse()) await PutAsync(key, key, PutMode.Replace);
        keys = [.. keys.Where(key => key != "b/2")];

        Assert.Equal(keys, await KeysAsync(""));
        Assert.Equal(keys.Where(key => key.StartsWith("b/", StringComparison.Ordinal)), await KeysAsync("b/"));
        Assert.Equal(["b/2.x", "b/2/3"], await KeysAsync("b/2"));
        Assert.Equal(["a.b/c"], await KeysAsync("a.b/"));
        Assert.Empty(await KeysAsync("d/"));
        Assert.Empty(await KeysAsync("a/"));
        for (var i = 0; i < keys.Length; i++) Assert.Equal(keys[(i + 1)..], await KeysAsync("", keys[i]));
        Assert.Equal(["b/2/3", "b/ab", "b/é", "b/\uE000", "b/\U0001F600", "c"], await KeysAsync("", "b/2/0"));
        Assert.Equal(["b/\U0001F600"], await KeysAsync("b/", "b/\uE000"));
    }

    [Fact]
    public async Task List_PageByPage_IsTheWholeListWithNoneTwice()
    {
        string[] keys = [.. Enumerable.Range(0, 17).Select(i => $"p/{i / 5}/{i:D2}")];
        foreach (var key in keys) await PutAsync(key, key, PutMode.Replace);
        await PutAsync("q", "of another prefix", PutMode.Replace);

        var listed = new List<string>();
        while (await Store.ListAsync("p/", listed.LastOrDefault(), Cancel).Take(4).Select(info => info.Key).ToListAsync(Cancel) is { Count: > 0 } page)
        {
            Assert.True(page.Count == 4 || listed.Count == 16);
            listed.AddRange(page);
        }

        Assert.Equal(keys, listed);
        Assert.Equal(keys.Select(key => (long)key.Length), await Store.ListAsync("p/", cancellationToken: Cancel).Select(info => info.Size).ToListAsync(Cancel));
    }

    [Theory]
    [InlineData("/")]
    [InlineData("../")]
    [InlineData("a/../b")]
    [InlineData("a//b")]
    [InlineData(".incoming/")]
    public async Task List_PrefixOfNoKey_Throws(string prefix)
    {
        await PutAsync("a/b", "x", PutMode.Replace);
        await Assert.ThrowsAsync<ArgumentException>(() => KeysAsync(prefix));
    }

    [Theory]
    [InlineData(59)]
    [InlineData((7 * 24 * 3600) + 1)]
    public async Task Presign_ValidityOutOfRange_Throws(int seconds) =>
        await Assert.ThrowsAsync<ArgumentOutOfRangeException>(() => Store.PresignAsync("a", TimeSpan.FromSeconds(seconds), Cancel));

    [Fact]
    public async Task Delete_Object_IsGone()
    {
        await PutAsync("a/b", "x", PutMode.Replace);
        Assert.True(await Store.DeleteAsync("a/b", Cancel));
        Assert.Null(await Store.HeadAsync("a/b", Cancel));
        Assert.Empty(await KeysAsync(""));
        Assert.True(await PutAsync("a/b", "y", PutMode.IfAbsent));
    }

    [Fact]
    public async Task Copy_Object_IsItsOwn()
    {
        await PutAsync("a", "one", PutMode.Replace);
        await PutAsync("copies/a", "older", PutMode.Replace);
        await Store.CopyAsync("a", "copies/a", Cancel);
        await PutAsync("a", "two", PutMode.Replace);
        Assert.Equal("one", Encoding.UTF8.GetString(await ReadAsync("copies/a")));
    }

    [Fact]
    public async Task Copy_NoSuchObject_ThrowsWithItsKey()
    {
        var e = await Assert.ThrowsAsync<FileNotFoundException>(() => Store.CopyAsync("missing", "b", Cancel));
        Assert.Equal("missing", e.FileName);
        Assert.Null(await Store.HeadAsync("b", Cancel));
    }

    public static TheoryData<string> BadKeys { get; } =
    [
        "", "/", "/a", "a/", "a//b", ".", "..", "../a", "a/../../b", "a/.", "a\\b", "a\0b", "a\nb", "\uD800", ".incoming/a",
        new string('a', 256), string.Join('/', Enumerable.Repeat("0123456789", 100)),
    ];

    [Theory]
    [MemberData(nameof(BadKeys))]
    public async Task AnyCall_BadKey_Throws(string key)
    {
        await PutAsync("good", "x", PutMode.Replace);
        await Assert.ThrowsAsync<ArgumentException>(() => PutAsync(key, "x", PutMode.Replace));
        await Assert.ThrowsAsync<ArgumentException>(() => PutAsync(key, "x", PutMode.IfAbsent));
        await Assert.ThrowsAsync<ArgumentException>(() => Store.OpenReadAsync(key, cancellationToken: Cancel));
        await Assert.ThrowsAsync<ArgumentException>(() => Store.HeadAsync(key, Cancel));
        await Assert.ThrowsAsync<ArgumentException>(() => Store.DeleteAsync(key, Cancel));
        await Assert.ThrowsAsync<ArgumentException>(() => Store.CopyAsync(key, "b", Cancel));
        await Assert.ThrowsAsync<ArgumentException>(() => Store.CopyAsync("good", key, Cancel));
        Assert.Throws<ArgumentException>(() => Store.LocalPath(key));
        await Assert.ThrowsAsync<ArgumentException>(() => Store.PresignAsync(key, TimeSpan.FromHours(1), Cancel));
        Assert.Equal(["good"], await KeysAsync(""));
    }

    [Theory]
    [InlineData("datasets/alpaca en/train/part-0.zstd.parquet")]
    [InlineData("a%20b/c+d=e&f?g#h")]
    [InlineData("名前/データ")]
    [InlineData("..a/b..")]
    [InlineData(".hidden")]
    public async Task Put_UnusualKey_IsFoundByIt(string key)
    {
        await PutAsync(key, "x", PutMode.Replace);
        Assert.Equal("x", Encoding.UTF8.GetString(await ReadAsync(key)));
        Assert.Equal([key], await KeysAsync(""));
        await Store.CopyAsync(key, "copy of " + key, Cancel);
        Assert.True(await Store.DeleteAsync(key, Cancel));
    }

    protected Task<bool> PutAsync(string key, string content, PutMode mode) =>
        Store.PutAsync(key, new MemoryStream(Encoding.UTF8.GetBytes(content)), mode, Cancel);

    protected async Task<byte[]> ReadAsync(string key, long offset = 0, long? length = null)
    {
        await using var stream = await Store.OpenReadAsync(key, offset, length, Cancel);
        Assert.NotNull(stream);
        using var bytes = new MemoryStream();
        await stream.CopyToAsync(bytes, Cancel);
        return bytes.ToArray();
    }

    protected Task<IReadOnlyList<string>> KeysAsync(string prefix, string? startAfter = null) => KeysAsync(Store, prefix, startAfter);

    protected static async Task<IReadOnlyList<string>> KeysAsync(IObjectStore store, string prefix, string? startAfter = null) =>
        await store.ListAsync(prefix, startAfter, Cancel).Select(info => info.Key).ToListAsync(Cancel);

    private static byte[] Bytes(int size)
    {
        var bytes = new byte[size];
        new Random(size).NextBytes(bytes);
        return bytes;
    }
}
