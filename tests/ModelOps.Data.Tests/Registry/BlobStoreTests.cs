using System.Security.Cryptography;
using System.Text;
using ModelOps.Registry;
using ModelOps.Storage;

namespace ModelOps.Data.Tests.Registry;

public sealed class BlobStoreTests : IDisposable
{
    private static readonly byte[] content = Encoding.UTF8.GetBytes("the bytes of a file");
    private static readonly string sha256 = Convert.ToHexStringLower(SHA256.HashData(content));

    private readonly TempFolder home = new();
    private readonly FileObjectStore store;
    private readonly BlobStore blobs;

    public BlobStoreTests()
    {
        store = new FileObjectStore(home.File("objects"));
        blobs = new BlobStore(store);
    }

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    public void Dispose() => home.Dispose();

    [Fact]
    public async Task PutAsync_NewContent_IsStoredAndReadBack()
    {
        Assert.Equal(new PutBlob.Stored(content.Length), await blobs.PutAsync(sha256, new MemoryStream(content), Stop));
        Assert.True(await blobs.ExistsAsync(sha256, Stop));
        using var read = new MemoryStream();
        await using (var stored = await blobs.OpenAsync(sha256, Stop))
            await stored!.CopyToAsync(read, Stop);
        Assert.Equal(content, read.ToArray());
    }

    [Fact]
    public async Task StageAsync_KeptOrNot_LeavesTheBlobOrNothing()
    {
        await using (var staged = await blobs.StageAsync(new MemoryStream(content), content.Length, Stop))
        {
            Assert.Equal((sha256, content.Length), (staged.Sha256, staged.Size));
            Assert.False(await blobs.ExistsAsync(sha256, Stop));
        }
        Assert.False(await store.ListAsync("", cancellationToken: Stop).AnyAsync(Stop));
        await using (var staged = await blobs.StageAsync(new MemoryStream(content), cancellationToken: Stop)) await staged.KeepAsync(Stop);
        Assert.Equal([BlobStore.KeyOf(sha256)], await store.ListAsync("", cancellationToken: Stop).Select(one => one.Key).ToListAsync(Stop));
    }

    [Fact]
    public async Task StageAsync_TooLong_LeavesNothing()
    {
        var refused = await Assert.ThrowsAsync<ContentTooLongException>(() => blobs.StageAsync(new MemoryStream(content), content.Length - 1, Stop));
        Assert.Equal(content.Length - 1, refused.Longest);
        Assert.False(await store.ListAsync("", cancellationToken: Stop).AnyAsync(Stop));
    }

    [Fact]
    public async Task SweepStagedAsync_OfAKilledProcess_GoesAfterADay()
    {
        var staged = await blobs.StageAsync(new MemoryStream(content), cancellationToken: Stop); // nobody disposes it
        await blobs.SweepStagedAsync(TimeProvider.System.GetUtcNow().AddHours(23), Stop);
        await using (var read = await staged.OpenAsync(Stop)) Assert.Equal(content.Length, read.Length);
        await blobs.SweepStagedAsync(TimeProvider.System.GetUtcNow().AddHours(25), Stop);
        await Assert.ThrowsAsync<IOException>(() => staged.OpenAsync(Stop));
    }

    [Fact]
    public async Task PutAsync_SameContentAgain_DoesNotReadIt()
    {
        await blobs.PutAsync(sha256, new MemoryStream(content), Stop);
        using var again = new MemoryStream(content);
        Assert.Equal(new PutBlob.AlreadyStored(content.Length), await blobs.PutAsync(sha256, again, Stop));
        Assert.Equal(0, again.Position);
    }

    [Fact]
    public async Task PutAsync_OtherContent_LeavesNothing()
    {
        var other = Encoding.UTF8.GetBytes("the bytes of a fake");
        var mismatch = Assert.IsType<PutBlob.Mismatch>(await blobs.PutAsync(sha256, new MemoryStream(other), Stop));
        Assert.Equal(Convert.ToHexStringLower(SHA256.HashData(other)), mismatch.Actual);
        Assert.False(await blobs.ExistsAsync(sha256, Stop));
        Assert.Empty(Directory.EnumerateFiles(home.Path, "*", SearchOption.AllDirectories));
    }

    [Fact]
    public async Task PutAsync_ManyAtOnce_AllSucceedAndOneIsStored()
    {
        var outcomes = await Task.WhenAll(
            Enumerable.Range(0, 16).Select(_ => Task.Run(() => blobs.PutAsync(sha256, new MemoryStream(content), Stop), Stop)))
            .WaitAsync(TimeSpan.FromSeconds(20), Stop);
        Assert.Single(outcomes.OfType<PutBlob.Stored>());
        Assert.Equal(15, outcomes.OfType<PutBlob.AlreadyStored>().Count(stored => stored.Size == content.Length));
    }

    [Fact]
    public async Task PutFileAsync_EmptyFile_IsStoredUnderTheDigestOfNothing()
    {
        var path = home.File("empty");
        await File.WriteAllBytesAsync(path, [], Stop);
        var blob = await blobs.PutFileAsync(path, Stop);
        Assert.Equal(new StoredBlob("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", 0), blob);
    }

    [Theory]
    [InlineData("")]
    [InlineData("../../../../etc/passwd")]
    [InlineData("E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855")]
    public async Task PutAsync_NotADigest_IsMisuse(string name) =>
        await Assert.ThrowsAsync<ArgumentException>(() => blobs.PutAsync(name, new MemoryStream(content), Stop));
}
