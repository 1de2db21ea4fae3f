using System.Text;
using Apache.Arrow;
using Apache.Arrow.Types;
using ModelOps.Storage;
using ModelOps.Tables.Delta;

namespace ModelOps.Data.Tests.Delta;

/// <summary>A store in a folder that goes away, and tables of two columns in it.</summary>
public sealed class TestTables : IDisposable
{
    private readonly DirectoryInfo folder = Directory.CreateTempSubdirectory("modelops-test-");

    public TestTables(string subfolder = "store") => Store = new(Path.Combine(folder.FullName, subfolder));

    public static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public static Schema Schema { get; } = new(
        [new Field("id", Int64Type.Default, nullable: false), new Field("text", StringType.Default, nullable: true)], metadata: null);

    public FileObjectStore Store { get; }

    public async Task<DeltaTable> CreateAsync(string path = "t") =>
        await DeltaTable.CreateAsync(Store, path, Schema, cancellationToken: Cancel) ?? throw new InvalidOperationException("is there");

    public static StagedRows Stage(params (long Id, string? Text)[] rows)
    {
        var staged = new StagedRows(Schema);
        using var batch = Batch(rows);
        staged.Write(batch);
        return staged;
    }

    public static RecordBatch Batch(params (long Id, string? Text)[] rows)
    {
        var (ids, texts) = (new Int64Array.Builder(), new StringArray.Builder());
        foreach (var (id, text) in rows)
        {
            ids.Append(id);
            texts.Append(text);
        }
        return new(Schema, [ids.Build(), texts.Build()], rows.Length);
    }

    public static async Task<long> AppendAsync(DeltaTable table, params (long Id, string? Text)[] rows)
    {
        using var staged = Stage(rows);
        return Assert.IsType<CommitOutcome.Committed>(await table.AppendAsync(staged, cancellationToken: Cancel)).Version;
    }

    public static async Task<long> OverwriteAsync(DeltaTable table, params (long Id, string? Text)[] rows)
    {
        using var staged = Stage(rows);
        return Assert.IsType<CommitOutcome.Committed>(await table.OverwriteAsync(staged, cancellationToken: Cancel)).Version;
    }

    public static async Task<List<(long Id, string? Text)>> RowsAsync(DeltaTable table, long? version = null)
    {
        var rows = new List<(long, string?)>();
        await foreach (var batch in table.ReadAsync(await table.SnapshotAsync(version, Cancel), Cancel))
            using (batch)
                for (var i = 0; i < batch.Length; i++)
                    rows.Add((((Int64Array)batch.Column(0)).GetValue(i)!.Value, ((StringArray)batch.Column(1)).GetString(i)));
        return rows;
    }

    public Task<bool> PutAsync(string key, string content) => PutAsync(key, Encoding.UTF8.GetBytes(content));

    public Task<bool> PutAsync(string key, byte[] content) => Store.PutAsync(key, new MemoryStream(content), PutMode.Replace, Cancel);

    public async Task<string> TextAsync(string key)
    {
        using var reader = new StreamReader((await Store.OpenReadAsync(key, cancellationToken: Cancel))!);
        return await reader.ReadToEndAsync(Cancel);
    }

    public static string LogKey(long version, string path = "t") => $"{path}/_delta_log/{version:D20}.json";

    public void Dispose() => folder.Delete(recursive: true);
}
