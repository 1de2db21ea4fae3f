using System.Runtime.CompilerServices;
using System.Text.Json;
using Apache.Arrow;
using ModelOps.Storage;

namespace ModelOps.Tables.Delta;

/// <summary>
/// A Delta Lake table in an object store (protocol: delta-io/delta, PROTOCOL.md). A version is one commit, made by putting a file that
/// must not be there yet, so that any number of processes can write at once.
/// </summary>
public sealed class DeltaTable
{
    private const string Engine = "ModelOps";
    private readonly IObjectStore store;
    private readonly TablePaths paths;
    private readonly DeltaLog log;
    private readonly TimeProvider clock;

    private DeltaTable(IObjectStore store, string path, TimeProvider? clock, Uri? root = null)
    {
        (this.store, Path, this.clock) = (store, path, clock ?? TimeProvider.System);
        paths = new(store, path, root);
        log = new(store, paths);
    }

    /// <summary>The table's folder in the store.</summary>
    public string Path { get; }

    /// <summary>Makes an empty table: version 0.</summary>
    /// <returns>null: there is one already.</returns>
    /// <exception cref="ArgumentException">A column's type has no counterpart in Delta.</exception>
    public static async Task<DeltaTable?> CreateAsync(
        IObjectStore store, string path, Schema schema, TimeProvider? clock = null, CancellationToken cancellationToken = default)
    {
        var table = new DeltaTable(store, path, clock);
        LogLine[] lines =
        [
            table.Info("CREATE TABLE", [], isBlindAppend: false),
            new() { Protocol = TableFeatures.For(schema) },
            new() { MetaData = new($"{Guid.NewGuid()}", new("parquet", Empty), [], SchemaJson.Render(schema), Empty, table.Now) },
        ];
        return await table.TryCommitAsync(0, lines, cancellationToken).ConfigureAwait(false) ? table : null;
    }

    /// <param name="root">What the table's folder is called outside of the store, such as s3://bucket/table: for tables with absolute paths.</param>
    /// <returns>null: there is no table.</returns>
    public static async Task<DeltaTable?> OpenAsync(
        IObjectStore store, string path, TimeProvider? clock = null, Uri? root = null, CancellationToken cancellationToken = default)
    {
        var files = store.ListAsync($"{path}/{CommitFile.LogFolder}/", cancellationToken: cancellationToken);
        return await files.AnyAsync(cancellationToken).ConfigureAwait(false) ? new(store, path, clock, root) : null;
    }

    /// <param name="version">null: the latest.</param>
    /// <exception cref="DeltaException">There is no such version, the log is broken, or the table needs what is not supported.</exception>
    public async Task<Snapshot> SnapshotAsync(long? version = null, CancellationToken cancellationToken = default) =>
        (await log.ReplayAsync(version, cancellationToken).ConfigureAwait(false)).ToSnapshot();

    /// <summary>The rows of a snapshot, file by file; each batch is the caller's to dispose.</summary>
    /// <exception cref="DeltaException">A file is missing, broken, or does not fit the schema.</exception>
    public IAsyncEnumerable<RecordBatch> ReadAsync(Snapshot snapshot, CancellationToken cancellationToken = default) =>
        ReadAsync(snapshot, columns: null, predicate: null, cancellationToken: cancellationToken);

    /// <summary>Of a snapshot, the rows for which a predicate is true; files and parts of files that cannot have any are not read.</summary>
    /// <param name="columns">Outermost columns, in the order wanted; null: all.</param>
    /// <param name="predicate">Parsed for the snapshot's schema; null: every row.</param>
    /// <param name="progress">Told which files are read.</param>
    /// <exception cref="ArgumentException">There is no such column.</exception>
    /// <exception cref="DeltaException">A file is missing, broken, or does not fit the schema.</exception>
    public async IAsyncEnumerable<RecordBatch> ReadAsync(
        Snapshot snapshot,
        IReadOnlyList<string>? columns,
        Predicate? predicate,
        ScanProgress? progress = null,
        [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        var scan = new TableScan(store, paths, snapshot, columns, predicate);
        foreach (var file in predicate is null ? snapshot.Files : FileSkipping.Matching(snapshot, predicate))
            await foreach (var batch in scan.ReadAsync(file, progress, cancellationToken).ConfigureAwait(false))
                yield return batch;
    }

    /// <summary>Adds rows. Where other writers commit first, it is done again on top of theirs.</summary>
    /// <exception cref="ArgumentException">The rows' schema is not the table's.</exception>
    /// <exception cref="DeltaException">The table is broken, or writing it needs what is not supported.</exception>
    public Task<CommitOutcome> AppendAsync(StagedRows rows, CancellationToken cancellationToken = default) =>
        WriteAsync(rows, replace: false, cancellationToken);

    /// <summary>Puts these rows in place of all that the table has when the commit succeeds, rows of other writers included.</summary>
    /// <exception cref="ArgumentException">The rows' schema is not the table's.</exception>
    /// <exception cref="DeltaException">The table is broken or append-only, or writing it needs what is not supported.</exception>
    public Task<CommitOutcome> OverwriteAsync(StagedRows rows, CancellationToken cancellationToken = default) =>
        WriteAsync(rows, replace: true, cancellationToken);

    internal string KeyOf(AddFile file) => paths.KeyOf(file.Path);

    private static Dictionary<string, string> Empty => [];

    private long Now => clock.GetUtcNow().ToUnixTimeMilliseconds();

    private async Task<CommitOutcome> WriteAsync(StagedRows rows, bool replace, CancellationToken cancellationToken)
    {
        // 1. What the table is now decides whether these rows fit.
        var replay = await log.ReplayAsync(version: null, cancellationToken).ConfigureAwait(false);
        var start = replay.ToSnapshot();
        ThrowUnlessWritable(start, rows.Schema, replace);
        // 2. The files, under names that no one else has: until a commit names them they are in no version.
        var adds = await UploadAsync(rows.Complete(), cancellationToken).ConfigureAwait(false);
        // 3. The commit, on top of whatever others commit meanwhile.
        var current = start;
        while (true)
        {
            var lines = Lines(adds, replace ? current.Files : [], replace);
            if (await TryCommitAsync(current.Version + 1, lines, cancellationToken).ConfigureAwait(false))
                return new CommitOutcome.Committed(current.Version + 1);
            await log.CatchUpAsync(replay, cancellationToken).ConfigureAwait(false);
            current = replay.ToSnapshot();
            if (ReferenceEquals(current.Metadata, start.Metadata) && ReferenceEquals(current.Protocol, start.Protocol)) continue;
            foreach (var add in adds) await store.DeleteAsync(KeyOf(add), cancellationToken).ConfigureAwait(false);
            return new CommitOutcome.Conflict($"{Path}: another writer changed the schema or the protocol of the table");
        }
    }

    private void ThrowUnlessWritable(Snapshot snapshot, Schema rows, bool replace)
    {
        TableFeatures.CheckWritable(Path, snapshot);
        if (replace && snapshot.Files.Count > 0 && TableFeatures.IsAppendOnly(snapshot))
            throw new DeltaException($"{Path} is append-only (delta.appendOnly): its rows cannot be replaced");
        var (ours, theirs) = (SchemaJson.Render(rows), SchemaJson.Render(snapshot.Schema));
        if (ours != theirs) throw new ArgumentException($"rows of {ours} do not fit {Path}, which has {theirs}", nameof(rows));
    }

    private async Task<List<AddFile>> UploadAsync(IReadOnlyList<StagedFile> files, CancellationToken cancellationToken)
    {
        var adds = new List<AddFile>();
        foreach (var file in files)
        {
            var name = $"part-{adds.Count:D5}-{Guid.NewGuid()}.zstd.parquet";
            var add = new AddFile(name, new Dictionary<string, string?>(StringComparer.Ordinal), file.Size, Now, DataChange: true, file.Stats);
            var content = File.OpenRead(file.Path);
            await using (content.ConfigureAwait(false))
                await store.PutAsync(KeyOf(add), content, PutMode.IfAbsent, cancellationToken).ConfigureAwait(false);
            adds.Add(add);
        }
        return adds;
    }

    private List<LogLine> Lines(IReadOnlyList<AddFile> adds, IReadOnlyList<AddFile> removed, bool replace)
    {
        var mode = new Dictionary<string, string>(StringComparer.Ordinal)
        {
            ["mode"] = replace ? "Overwrite" : "Append",
            ["partitionBy"] = "[]",
        };
        return
        [
            Info("WRITE", mode, isBlindAppend: !replace),
            .. removed.Select(file => new LogLine
            {
                Remove = new(file.Path, DataChange: true, Now, ExtendedFileMetadata: true, file.PartitionValues, file.Size),
            }),
            .. adds.Select(add => new LogLine { Add = add }),
        ];
    }

    private LogLine Info(string operation, Dictionary<string, string> parameters, bool isBlindAppend) => new()
    {
        CommitInfo = JsonSerializer.SerializeToElement(
            new CommitInfo
            {
                Timestamp = Now,
                Operation = operation,
                OperationParameters = parameters,
                IsBlindAppend = isBlindAppend,
                EngineInfo = Engine,
            },
            DeltaJson.Default.CommitInfo),
    };

    private async Task<bool> TryCommitAsync(long version, IReadOnlyList<LogLine> lines, CancellationToken cancellationToken)
    {
        using var content = new MemoryStream(CommitFile.Render(lines), writable: false);
        return await store.PutAsync(log.KeyOf(CommitFile.Name(version)), content, PutMode.IfAbsent, cancellationToken).ConfigureAwait(false);
    }
}
