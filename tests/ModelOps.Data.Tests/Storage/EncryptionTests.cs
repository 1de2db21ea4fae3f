using System.Text;
using ModelOps.Storage;

namespace ModelOps.Data.Tests.Storage;

/// <summary>What an encrypted object promises to whoever may write the disk: plaintext as it was put, or an error.</summary>
public sealed class EncryptionTests : IDisposable
{
    private const int Chunk = 64 << 10;
    private const int StoredChunk = Chunk + 16;
    private const int Header = 84;
    private readonly string root = Directory.CreateTempSubdirectory("modelops-objects-").FullName;
    private readonly FileObjectStore files;
    private readonly EncryptedObjectStore store;

    public EncryptionTests()
    {
        files = new(root);
        store = new(files, TestKeys.First);
    }

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public void Dispose() => Directory.Delete(root, recursive: true);

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(Chunk - 1)]
    [InlineData(Chunk)]
    [InlineData(Chunk + 1)]
    [InlineData((2 * Chunk) - 1)]
    [InlineData(2 * Chunk)]
    [InlineData((3 * Chunk) + 5)]
    public async Task OpenRead_AnyRangeOfAnySize_IsThatPartOfThePlaintext(int size)
    {
        var bytes = await PutAsync("a", size);
        Assert.Equal(size, (await store.HeadAsync("a", Cancel))!.Size);
        Assert.Equal(size, Assert.Single(await store.ListAsync("", cancellationToken: Cancel).ToListAsync(Cancel)).Size);
        var random = new Random(size);
        int[] edges = [0, 1, Chunk - 1, Chunk, Chunk + 1, 2 * Chunk, 3 * Chunk, 4 * Chunk, size - 1, size, size + 1];
        for (var round = 0; round < 150; round++)
        {
            var offset = Math.Max(0, round < 100 ? edges[random.Next(edges.Length)] : random.Next(size + 10));
            long? length = random.Next(4) switch { 0 => null, 1 => random.Next(10), 2 => edges[random.Next(edges.Length - 3)], _ => random.Next(size + 10) };
            var expected = bytes.Skip(offset).Take((int)Math.Min(length ?? int.MaxValue, int.MaxValue)).ToArray();
            AssertSame(expected, await ReadAsync("a", offset, length), $"{length} bytes from {offset}");
        }
    }

    [Fact]
    public async Task Read_ByAnyBufferSizeAndEitherWay_IsTheSame()
    {
        var bytes = await PutAsync("a", (2 * Chunk) + 100);
        foreach (var size in new[] { 1, 7, 4096, Chunk, 1 << 20 })
        {
            await using var stream = await store.OpenReadAsync("a", cancellationToken: Cancel);
            var (read, buffer, synchronous) = (new List<byte>(), new byte[size], false);
            for (int count; (count = (synchronous = !synchronous) ? stream!.Read(buffer) : await stream!.ReadAsync(buffer, Cancel)) > 0;)
                read.AddRange(buffer.AsSpan(0, count));
            Assert.True(bytes.AsSpan().SequenceEqual(read.ToArray()), $"buffers of {size}");
        }
    }

    [Fact]
    public async Task Put_SameContentTwice_StoresNothingRecognizable()
    {
        var secret = Encoding.UTF8.GetBytes(string.Concat(Enumerable.Repeat("the patient's name is ", 8000)));
        await store.PutAsync("a", new MemoryStream(secret), PutMode.Replace, Cancel);
        await store.PutAsync("b", new MemoryStream(secret), PutMode.Replace, Cancel);
        var (a, b) = (Stored("a"), Stored("b"));
        Assert.Equal(a.Length, b.Length);
        Assert.Equal(-1, a.AsSpan().IndexOf("patient"u8));
        // Equal bytes at equal places: the magic and the key's id, then only by chance, one of 256.
        Assert.Equal(a[..24], b[..24]);
        Assert.InRange(a.Zip(b).Skip(24).Count(pair => pair.First == pair.Second), a.Length / 256 * 0.8, a.Length / 256 * 1.2);
    }

    /// <summary>Of a small object every bit, of a large one every bit of the header and seeded ones of the rest, the edges of chunks among them.</summary>
    [Theory]
    [InlineData(0)]
    [InlineData(37)]
    [InlineData((2 * Chunk) + 1000)]
    public async Task Read_AnyBitFlipped_ThrowsAndHandsOutNothingFromThereOn(int size)
    {
        var bytes = await PutAsync("a", size);
        var stored = Stored("a");
        var random = new Random(5);
        var places = stored.Length < 1000
            ? Enumerable.Range(0, stored.Length)
            : Enumerable.Range(0, Header)
                .Concat(Enumerable.Range(1, 2).SelectMany(chunk => Enumerable.Range(Header + (chunk * StoredChunk) - 17, 19)))
                .Concat(Enumerable.Range(stored.Length - 17, 17))
                .Concat(Enumerable.Range(0, 300).Select(_ => random.Next(stored.Length)));
        foreach (var place in places)
        {
            var bit = (byte)(1 << random.Next(8));
            stored[place] ^= bit;
            Store("a", stored);
            var whole = Math.Max(0, (place - Header) / StoredChunk) * Chunk; // chunks before the damaged one

            var seen = await ReadUntilFaultAsync("a", 0, null);
            Assert.True(seen.Length <= whole && bytes.AsSpan(0, seen.Length).SequenceEqual(seen), $"byte {place}: {seen.Length} bytes were handed out");
            Assert.Empty(await ReadUntilFaultAsync("a", Math.Min(whole, Math.Max(0, size - 1)), 1));
            if (whole > 0) Assert.Equal(bytes.Skip(whole - 10).Take(5), await ReadAsync("a", whole - 10, 5));
            stored[place] ^= bit;
        }
        Store("a", stored);
        AssertSame(bytes, await ReadAsync("a", 0, null), "the bits are back");
    }

    [Fact]
    public async Task Read_CutAnywhere_Throws()
    {
        var bytes = await PutAsync("a", (3 * Chunk) + 1000);
        var stored = Stored("a");
        var random = new Random(6);
        int[] ends = [0, 1, Header - 1, Header, Header + 1, Header + 15, Header + 16, Header + 17];
        foreach (var length in ends
            .Concat(Enumerable.Range(1, 3).SelectMany(chunk => new[] { -1, 0, 1, 15, 16, 17 }.Select(by => Header + (chunk * StoredChunk) + by)))
            .Concat(Enumerable.Range(0, 100).Select(_ => random.Next(stored.Length)))
            .Append(stored.Length - 1))
        {
            Store("a", stored[..length]);
            var seen = await ReadUntilFaultAsync("a", 0, null);
            Assert.True(bytes.AsSpan(0, seen.Length).SequenceEqual(seen) && seen.Length % Chunk == 0);
            // A range that was there and is cut away is no shorter answer either.
            foreach (var offset in new[] { 2 * Chunk, 3 * Chunk, (3 * Chunk) + 999 })
                if (Header + ((offset / Chunk) + 1L) * StoredChunk > length) Assert.Empty(await ReadUntilFaultAsync("a", offset, 10));
        }
    }

    [Theory]
    [InlineData(100)]
    [InlineData(Chunk)]
    [InlineData((2 * Chunk) + 1)]
    public async Task Read_Lengthened_Throws(int size)
    {
        await PutAsync("a", size);
        var stored = Stored("a");
        foreach (var more in new[] { 1, 16, 17, StoredChunk })
        {
            Store("a", [.. stored, .. new byte[more]]);
            await ReadUntilFaultAsync("a", 0, null);
            await ReadUntilFaultAsync("a", size, 1);
        }
        Store("a", [.. stored, .. stored[Header..]]);
        await ReadUntilFaultAsync("a", 0, null);
    }

    [Fact]
    public async Task Read_ChunksReorderedDroppedDoubledOrOfAnotherObject_Throws()
    {
        await PutAsync("a", 3 * Chunk);
        await PutAsync("b", 3 * Chunk);
        var (a, b) = (Stored("a"), Stored("b"));
        byte[] Of(byte[] stored, int chunk) => stored[(Header + (chunk * StoredChunk))..(Header + ((chunk + 1) * StoredChunk))];
        byte[][] forged =
        [
            [.. a[..Header], .. Of(a, 1), .. Of(a, 0), .. Of(a, 2)],
            [.. a[..Header], .. Of(a, 0), .. Of(a, 2)],
            [.. a[..Header], .. Of(a, 0), .. Of(a, 0), .. Of(a, 1), .. Of(a, 2)],
            [.. a[..Header], .. Of(a, 0), .. Of(b, 1), .. Of(a, 2)],
            [.. a[..Header], .. b[Header..]],
        ];
        foreach (var bytes in forged)
        {
            Store("a", bytes);
            Assert.True((await ReadUntilFaultAsync("a", 0, null)).Length <= Chunk);
        }
        Store("a", a);
        Assert.Equal(3 * Chunk, (await ReadAsync("a", 0, null)).Length);
    }

    [Fact]
    public async Task Read_ObjectMovedToAnotherKey_Throws()
    {
        await PutAsync("production", 10);
        await PutAsync("draft", 10);
        Store("production", Stored("draft"));
        var e = await Assert.ThrowsAsync<ObjectIntegrityException>(() => store.OpenReadAsync("production", cancellationToken: Cancel));
        Assert.Equal("production", e.Key);
        Assert.Contains("another object's", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Read_AfterAFault_ThrowsAgain()
    {
        await PutAsync("a", 3 * Chunk);
        var stored = Stored("a");
        stored[Header + StoredChunk] ^= 1;
        Store("a", stored);
        await using var stream = await store.OpenReadAsync("a", cancellationToken: Cancel);
        await stream!.ReadExactlyAsync(new byte[Chunk], Cancel);
        for (var i = 0; i < 3; i++) await Assert.ThrowsAsync<ObjectIntegrityException>(async () => await stream.ReadExactlyAsync(new byte[10], Cancel));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(50)]
    [InlineData(100_000)]
    public async Task AnyRead_NotEncrypted_IsRefusedByName(int size)
    {
        await files.PutAsync("old", new MemoryStream(new byte[size]), PutMode.Replace, Cancel);
        foreach (var offset in new[] { 0, Chunk })
        {
            var e = await Assert.ThrowsAsync<ObjectIntegrityException>(() => store.OpenReadAsync("old", offset, 1, Cancel));
            Assert.Contains("old is refused: it is not encrypted", e.Message, StringComparison.Ordinal);
        }
        await Assert.ThrowsAsync<ObjectIntegrityException>(() => store.CopyAsync("old", "new", Cancel));
        Assert.True(await store.DeleteAsync("old", Cancel));
    }

    [Fact]
    public async Task Read_AnotherMasterKey_ThrowsAndNamesBoth()
    {
        await PutAsync("a", 10);
        var other = new EncryptedObjectStore(files, TestKeys.SecondAlone);
        var e = await Assert.ThrowsAsync<ObjectIntegrityException>(() => other.OpenReadAsync("a", cancellationToken: Cancel));
        Assert.Contains(MasterKeys.IdOf(TestKeys.Key(1)), e.Message, StringComparison.Ordinal);
        Assert.Contains(MasterKeys.IdOf(TestKeys.Key(2)), e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Rewrap_StoppedAtAnyPoint_LeavesEveryObjectReadableAndGoesOn()
    {
        var contents = new Dictionary<string, byte[]>();
        for (var i = 0; i < 6; i++) contents[$"o/{i}"] = await PutAsync($"o/{i}", i * 40_000);
        var second = new EncryptedObjectStore(files, TestKeys.Second);
        contents["new"] = [9];
        await second.PutAsync("new", new MemoryStream([9]), PutMode.Replace, Cancel);

        for (var done = 0; done < 6; done++)
        {
            // Stopped in the middle of the next object's bytes.
            var stopping = new EncryptedObjectStore(new StoppingStore(files, puts: 1), TestKeys.Second);
            if (done < 5) await Assert.ThrowsAsync<OperationCanceledException>(() => stopping.RewrapAsync(Cancel));
            else Assert.Equal(1, (await stopping.RewrapAsync(Cancel)).Rewrapped);
            foreach (var (key, bytes) in contents) AssertSame(bytes, await ReadAsync(second, key), key);
            Assert.Equal(contents.Keys.Order(), await files.ListAsync("", cancellationToken: Cancel).Select(o => o.Key).ToListAsync(Cancel));
        }

        Assert.Equivalent(new RewrapReport(0, 7, []), await second.RewrapAsync(Cancel));
        var alone = new EncryptedObjectStore(files, TestKeys.SecondAlone);
        foreach (var (key, bytes) in contents) AssertSame(bytes, await ReadAsync(alone, key), key);
        await Assert.ThrowsAsync<ObjectIntegrityException>(() => store.OpenReadAsync("o/1", cancellationToken: Cancel));
    }

    [Fact]
    public async Task Rewrap_SomeObjectsBroken_ReportsThemAndDoesTheOthers()
    {
        await PutAsync("a", 10);
        await PutAsync("b", 10);
        await files.PutAsync("plain", new MemoryStream(new byte[500]), PutMode.Replace, Cancel);
        var broken = Stored("b");
        broken[70] ^= 1;
        Store("b", broken);

        var report = await new EncryptedObjectStore(files, TestKeys.Second).RewrapAsync(Cancel);

        Assert.Equal((1, 0), (report.Rewrapped, report.Current));
        Assert.Collection(
            report.Refused,
            message => Assert.StartsWith("the object b is refused: its header was changed", message, StringComparison.Ordinal),
            message => Assert.StartsWith("the object plain is refused: it is not encrypted", message, StringComparison.Ordinal));
        Assert.Equal(broken, Stored("b"));
    }

    /// <summary>Whatever the stored bytes: the plaintext that was put or ObjectIntegrityException, and a size that agrees with what is read.</summary>
    [Fact]
    public async Task Read_AnyStoredBytes_IsThePlaintextOrRefused()
    {
        var plaintext = await PutAsync("a", 300);
        var original = Stored("a");
        var random = new Random(21);
        var (read, refused) = (0, 0);
        for (var round = 0; round < 3000; round++)
        {
            var bytes = round % 100 == 0 ? original : Delta.Mutation.Of(original, random);
            Store("a", bytes);
            try
            {
                Assert.Equal(plaintext, await ReadAsync("a", 0, null));
                Assert.Equal(original, bytes);
                Assert.Equal(300, (await store.HeadAsync("a", Cancel))!.Size);
                read++;
            }
            catch (ObjectIntegrityException e)
            {
                Assert.Equal("a", e.Key);
                Assert.NotEqual(original, bytes);
                refused++;
            }
        }
        Assert.True(read >= 30 && refused > 2900, $"{read} read, {refused} refused");
    }

    private async Task<byte[]> PutAsync(string key, int size)
    {
        var bytes = new byte[size];
        new Random(size + key.Length).NextBytes(bytes);
        await store.PutAsync(key, new Unseekable(new MemoryStream(bytes)), PutMode.Replace, Cancel);
        return bytes;
    }

    private Task<byte[]> ReadAsync(string key, long offset, long? length) => ReadAsync(store, key, offset, length);

    private static async Task<byte[]> ReadAsync(IObjectStore from, string key, long offset = 0, long? length = null)
    {
        await using var stream = await from.OpenReadAsync(key, offset, length, Cancel);
        using var bytes = new MemoryStream();
        await stream!.CopyToAsync(bytes, Cancel);
        return bytes.ToArray();
    }

    private static void AssertSame(byte[] expected, byte[] actual, string what) => Assert.True(expected.AsSpan().SequenceEqual(actual), what);

    /// <summary>What is handed out before the fault that must come.</summary>
    private async Task<byte[]> ReadUntilFaultAsync(string key, long offset, long? length)
    {
        using var seen = new MemoryStream();
        await Assert.ThrowsAsync<ObjectIntegrityException>(async () =>
        {
            await using var stream = await store.OpenReadAsync(key, offset, length, Cancel);
            await stream!.CopyToAsync(seen, Cancel);
        });
        return seen.ToArray();
    }

    private byte[] Stored(string key) => File.ReadAllBytes(files.LocalPath(key)!);

    private void Store(string key, byte[] bytes) => File.WriteAllBytes(files.LocalPath(key)!, bytes);
}
