using ModelOps.Data.Tests.Delta;
using ModelOps.Storage;
using ModelOps.Tables.Datasets.Queries;
using ModelOps.Tables.Delta;

namespace ModelOps.Data.Tests.Datasets;

/// <summary>Copies of the objects of a store that has no plain files: an encrypted one.</summary>
public sealed class TableFilesTests : IDisposable
{
    private readonly DirectoryInfo folder = Directory.CreateTempSubdirectory("modelops-test-");
    private readonly IObjectStore store;

    public TableFilesTests() => store = ObjectStores.Open(
        new() { Encryption = new() { MasterKey = Convert.ToBase64String([.. Enumerable.Range(0, 32).Select(i => (byte)i)]) } }, folder.FullName).Tables;

    private static CancellationToken Cancel => TestTables.Cancel;

    private string Copies => Path.Combine(folder.FullName, "copies");

    public void Dispose() => folder.Delete(recursive: true);

    [Fact]
    public async Task Open_BeyondTheCapacity_DropsTheCopyUsedLongestAgo()
    {
        using var files = new TableFiles(store, Copies, capacity: 25);
        foreach (var key in (string[])["a", "b", "a", "c"]) (await OpenAsync(files, key))!.Dispose();
        Assert.Equal(2, Directory.GetFiles(Copies).Length);
        using var kept = await OpenAsync(files, "a");
        await store.DeleteAsync("a", Cancel);
        Assert.Equal("a---------", await File.ReadAllTextAsync(Assert.Single(kept!.Files), Cancel));
        using var again = await OpenAsync(files, "c"); // both are in use now
        Assert.Null(await OpenAsync(files, "b"));
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute, File.GetUnixFileMode(Copies));
    }

    [Fact]
    public async Task Open_MissingObject_LeavesNothing()
    {
        using var files = new TableFiles(store, Copies, capacity: 25);
        await Assert.ThrowsAsync<DeltaException>(() => files.OpenAsync([("gone", 10)], Cancel));
        Assert.Empty(Directory.GetFiles(Copies));
    }

    private async Task<TableFiles.Lease?> OpenAsync(TableFiles files, string key)
    {
        using var content = new MemoryStream(TestIngestion.Utf8(key.PadRight(10, '-')));
        await store.PutAsync(key, content, PutMode.IfAbsent, Cancel);
        return await files.OpenAsync([(key, 10)], Cancel);
    }
}
