using System.Globalization;
using ModelOps.Data.Tests.Storage;
using ModelOps.Storage;
using ModelOps.Tables.Delta;

namespace ModelOps.Data.Tests.Delta;

/// <summary>
/// Eight writers, each with a store and a table of its own as another process has them, append as fast as they can. MODELOPS_TEST_DELTA_APPENDS sets
/// how often each does: 200 is the full size.
/// </summary>
public sealed class ConcurrentWritersTests(MotoServer server) : IClassFixture<MotoServer>
{
    private const int Writers = 8;
    private const string Bucket = "tables";
    private static readonly int? FullAppends = int.TryParse(
        Environment.GetEnvironmentVariable("MODELOPS_TEST_DELTA_APPENDS"), NumberStyles.None, CultureInfo.InvariantCulture, out var appends) ? appends : null;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Append_EightWritersOnFiles_KeepsEveryRowOnceInContiguousVersions()
    {
        using var tables = new TestTables();
        await AppendAsync(() => tables.Store, FullAppends ?? 20);
        var table = (await DeltaTable.OpenAsync(tables.Store, "t", cancellationToken: Cancel))!;
        await ForeignReaders.AssertAgreeAsync(tables.Store, table);
    }

    [Fact]
    public async Task Append_EightWritersOnS3_KeepsEveryRowOnceInContiguousVersions()
    {
        using var client = MotoClient.Create(server.Url);
        await server.ResetAsync(Cancel);
        await client.PutBucketAsync(Bucket, Cancel);
        await AppendAsync(() => new S3ObjectStore(client, Bucket), FullAppends ?? 3);
    }

    private static async Task AppendAsync(Func<IObjectStore> store, int appends)
    {
        await DeltaTable.CreateAsync(store(), "t", TestTables.Schema, cancellationToken: Cancel);
        var versions = await Task.WhenAll(Enumerable.Range(0, Writers).Select(writer => Task.Run(
            async () =>
            {
                var table = (await DeltaTable.OpenAsync(store(), "t", random: new Random(writer), cancellationToken: Cancel))!;
                var mine = new List<long>();
                for (var i = 0; i < appends; i++) mine.Add(await TestTables.AppendAsync(table, ((writer * appends) + i, $"writer {writer}")));
                return mine;
            },
            Cancel))).WaitAsync(TimeSpan.FromSeconds(60 + (4 * appends)), Cancel);

        Assert.Equal(Enumerable.Range(1, Writers * appends).Select(version => (long)version), versions.SelectMany(mine => mine).Order());
        var reader = (await DeltaTable.OpenAsync(store(), "t", cancellationToken: Cancel))!;
        var rows = await TestTables.RowsAsync(reader);
        Assert.Equal(Enumerable.Range(0, Writers * appends).Select(id => (long)id), rows.Select(row => row.Id).Order());
    }
}
