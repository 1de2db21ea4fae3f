using System.IO.Pipelines;
using System.Text;
using ModelOps.Storage;

namespace ModelOps.Data.Tests.Storage;

public sealed class FileObjectStoreTests : ObjectStoreContract, IDisposable
{
    private readonly string root = Directory.CreateTempSubdirectory("modelops-objects-").FullName;

    public FileObjectStoreTests() => Store = new FileObjectStore(root);

    protected override IObjectStore Store { get; }

    public void Dispose() => Directory.Delete(root, recursive: true);

    [Fact]
    public async Task LocalPath_Object_IsAFileWithItsBytes()
    {
        await PutAsync("a/b", "x", PutMode.Replace);
        Assert.Equal("x", await File.ReadAllTextAsync(Store.LocalPath("a/b")!, Cancel));
    }

    [Fact]
    public async Task Put_AnyOutcome_LeavesNoUnfinishedFile()
    {
        await PutAsync("a", "x", PutMode.Replace);
        await PutAsync("a", "y", PutMode.IfAbsent);
        await PutAsync("a", "z", PutMode.Replace);
        await Assert.ThrowsAsync<InvalidDataException>(() => Store.PutAsync("b", new Failing(100), PutMode.IfAbsent, Cancel));
        Assert.Equal([Path.Combine(root, "a")], Directory.GetFiles(root, "*", SearchOption.AllDirectories));
    }

    [Fact]
    public async Task List_UnfinishedPut_IsNotListed()
    {
        await File.WriteAllTextAsync(Path.Combine(Directory.GetDirectories(Path.Combine(root, ".incoming")).Single(), "0123"), "half", Cancel);
        Assert.Empty(await KeysAsync(""));
        Assert.Empty(await KeysAsync(".inc"));
    }

    [Fact]
    public async Task Open_WhileAPutRuns_LeavesItAndRemovesWhatTheDeadLeft()
    {
        var left = Path.Combine(root, ".incoming", "dead", "0123");
        Directory.CreateDirectory(Path.GetDirectoryName(left)!);
        await File.WriteAllTextAsync(left, "half", Cancel);
        var pipe = new Pipe();
        await pipe.Writer.WriteAsync("who"u8.ToArray(), Cancel);
        var put = Store.PutAsync("a", pipe.Reader.AsStream(), PutMode.IfAbsent, Cancel);

        var second = new FileObjectStore(root);

        Assert.False(Path.Exists(Path.GetDirectoryName(left)));
        await pipe.Writer.WriteAsync("le"u8.ToArray(), Cancel);
        await pipe.Writer.CompleteAsync();
        Assert.True(await put.WaitAsync(TimeSpan.FromSeconds(30), Cancel));
        Assert.False(await second.PutAsync("a", Stream.Null, PutMode.IfAbsent, Cancel));
        Assert.Equal("whole", Encoding.UTF8.GetString(await ReadAsync("a")));
    }

    [Fact]
    public void Open_ManyStoresAtOnce_KeepsEachItsOwnFolder()
    {
        Parallel.For(0, 200, _ => Assert.True(new FileObjectStore(root).PutAsync($"{Guid.NewGuid():N}", new MemoryStream([1]), PutMode.IfAbsent, Cancel).Wait(TimeSpan.FromSeconds(30))));
        Assert.Equal(200, Directory.GetFiles(root).Length);
    }

    [Fact]
    public async Task AnyCall_OverASymbolicLink_IsRefused()
    {
        var outside = Directory.CreateTempSubdirectory("modelops-outside-").FullName;
        try
        {
            await File.WriteAllTextAsync(Path.Combine(outside, "secret"), "s", Cancel);
            Directory.CreateSymbolicLink(Path.Combine(root, "folder"), outside);
            File.CreateSymbolicLink(Path.Combine(root, "file"), Path.Combine(outside, "secret"));
            File.CreateSymbolicLink(Path.Combine(root, "dangling"), Path.Combine(outside, "nowhere"));

            await PutAsync("good", "x", PutMode.Replace);
            foreach (var key in new[] { "folder/secret", "folder/new", "file", "dangling" })
            {
                var link = Path.Combine(root, key.Split('/')[0]);
                foreach (var call in Calls(key))
                {
                    var e = await Assert.ThrowsAsync<ObjectIntegrityException>(call);
                    Assert.Equal(key, e.Key);
                    Assert.StartsWith($"the object {key} is refused: {link} is a symbolic link", e.Message, StringComparison.Ordinal);
                }
            }
            await Assert.ThrowsAsync<ObjectIntegrityException>(() => KeysAsync("folder/"));
            Assert.Equal(["good"], await KeysAsync(""));
            Assert.True(await Store.DeleteAsync("good", Cancel));
            Assert.Empty(await KeysAsync(""));
            Assert.Equal(["secret"], Directory.GetFiles(outside).Select(Path.GetFileName));
        }
        finally
        {
            Directory.Delete(outside, recursive: true);
        }
    }

    private IEnumerable<Func<Task>> Calls(string key) =>
    [
        () => Store.OpenReadAsync(key, cancellationToken: Cancel),
        () => Store.HeadAsync(key, Cancel),
        () => PutAsync(key, "x", PutMode.Replace),
        () => PutAsync(key, "x", PutMode.IfAbsent),
        () => Store.DeleteAsync(key, Cancel),
        () => Store.CopyAsync(key, "copy", Cancel),
        () => Store.CopyAsync("good", key, Cancel),
        () => Task.FromResult(Store.LocalPath(key)),
    ];

    [Theory]
    [InlineData("a/b")]
    [InlineData("a/b/c/d")]
    public async Task Put_BelowAnObject_ThrowsAndLeavesIt(string key)
    {
        await PutAsync("a", "x", PutMode.Replace);
        await Assert.ThrowsAnyAsync<IOException>(() => PutAsync(key, "y", PutMode.Replace));
        Assert.Equal("x", Encoding.UTF8.GetString(await ReadAsync("a")));
    }

    [Theory]
    [InlineData(PutMode.Replace)]
    [InlineData(PutMode.IfAbsent)]
    public async Task Put_WhereAFolderIs_ThrowsAndLeavesIt(PutMode mode)
    {
        await PutAsync("a/b", "x", PutMode.Replace);
        await Assert.ThrowsAnyAsync<IOException>(() => PutAsync("a", "y", mode));
        Assert.Equal(["a/b"], await KeysAsync(""));
    }
}
