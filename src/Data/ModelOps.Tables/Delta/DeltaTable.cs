using System.Runtime.CompilerServices;
using Apache.Arrow;
using ModelOps.Storage;

namespace ModelOps.Tables.Delta;

/// <summary>
/// A Delta Lake table in an object store (protocol: delta-io/delta, PROTOCOL.md). A version is one commit, made by putting a file that
/// must not be there yet, so that any number of processes can write at once. Every operation that writes says what came of it; it throws
/// <see cref="ArgumentException"/> for rows or settings that do not fit the table, <see cref="FormatException"/> for a condition that is none,
/// and <see cref="DeltaException"/> where the table is broken, append-only, or needs what is not supported.
/// </summary>
public sealed class DeltaTable
{
    private readonly IObjectStore store;
    private readonly TablePaths paths;
    private readonly DeltaLog log;
    private readonly TimeProvider clock;

    private DeltaTable(IObjectStore store, string path, TimeProvider? clock, Random? random, Uri? root = null)
    {
        (this.store, Path, this.clock) = (store, path, clock ?? TimeProvider.System);
        paths = new(store, path, root);
        log = new(store, paths);
        DataFiles = new(store, paths, this.clock);
        Committer = new(store, paths, log, this.clock, random ?? Random.Shared);
        Upkeep = new(store, log, this.clock);
    }

    /// <summary>The table's folder in the store.</summary>
    public string Path { get; }

    internal DataFiles DataFiles { get; }

    internal Committer Committer { get; }

    internal LogUpkeep Upkeep { get; }

    /// <summary>Makes an empty table: version 0.</summary>
    /// <param name="random">Parts writers that wait for each other. Default: the shared one.</param>
    /// <returns>null: there is one already.</returns>
    /// <exception cref="ArgumentException">A column's type has no counterpart in Delta, or the options do not fit; all that is wrong is said.</exception>
    public static async Task<DeltaTable?> CreateAsync(
        IObjectStore store,
        string path,
        Schema schema,
        TableOptions? options = null,
        TimeProvider? clock = null,
        Random? random = null,
        CancellationToken cancellationToken = default)
    {
        // Not only version 0 counts: the clean-up of a long log deletes it.
        if (await OpenAsync(store, path, clock, random, root: null, cancellationToken).ConfigureAwait(false) is not null) return null;
        var table = new DeltaTable(store, path, clock, random);
        var creation = TableCreation.Plan(path, schema, options ?? new(), table.clock.GetUtcNow());
        var outcome = await table.Committer.CommitAsync(creation, cancellationToken).ConfigureAwait(false);
        return outcome is CommitOutcome.Committed ? table : null;
    }

    /// <param name="random">Parts writers that wait for each other. Default: the shared one.</param>
    /// <param name="root">What the table's folder is called outside of the store, such as s3://bucket/table: for tables with absolute paths.</param>
    /// <returns>null: there is no table.</returns>
    public static async Task<DeltaTable?> OpenAsync(
        IObjectStore store,
        string path,
        TimeProvider? clock = null,
        Random? random = null,
        Uri? root = null,
        CancellationToken cancellationToken = default)
    {
        var files = store.ListAsync($"{path}/{CommitFile.LogFolder}/", cancellationToken: cancellationToken);
        return await files.AnyAsync(cancellationToken).ConfigureAwait(false) ? new(store, path, clock, random, root) : null;
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
    public Task<CommitOutcome> AppendAsync(StagedRows rows, WriteOptions? options = null, CancellationToken cancellationToken = default) =>
        TableWrites.AppendAsync(this, rows, options ?? new(), cancellationToken);

    /// <summary>Puts these rows in place of all that the table has when the commit succeeds, rows of other writers included.</summary>
    public Task<CommitOutcome> OverwriteAsync(StagedRows rows, WriteOptions? options = null, CancellationToken cancellationToken = default) =>
        TableWrites.OverwriteAsync(this, rows, where: null, options ?? new(), cancellationToken);

    /// <summary>Puts these rows in place of those for which the condition is true.</summary>
    /// <param name="where">SQL, see <see cref="Predicate.Parse"/>. It is true of every new row.</param>
    public Task<CommitOutcome> OverwriteAsync(
        StagedRows rows, string where, WriteOptions? options = null, CancellationToken cancellationToken = default) =>
        TableWrites.OverwriteAsync(this, rows, where, options ?? new(), cancellationToken);

    /// <summary>Deletes the rows for which the condition is true.</summary>
    /// <param name="where">SQL, see <see cref="Predicate.Parse"/>.</param>
    public Task<CommitOutcome> DeleteAsync(string where, WriteOptions? options = null, CancellationToken cancellationToken = default) =>
        RowChanges.DeleteAsync(this, where, options ?? new(), cancellationToken);

    /// <summary>Changes columns of the rows for which the condition is true.</summary>
    /// <param name="where">SQL, see <see cref="Predicate.Parse"/>.</param>
    /// <param name="set">By column.</param>
    public Task<CommitOutcome> UpdateAsync(
        string where, IReadOnlyDictionary<string, ColumnUpdate> set, WriteOptions? options = null, CancellationToken cancellationToken = default) =>
        RowChanges.UpdateAsync(this, where, set, options ?? new(), cancellationToken);

    /// <summary>Brings rows in by their keys: changes, deletes and adds as the rules say.</summary>
    /// <param name="source">Held in memory while the table is read file by file.</param>
    public Task<CommitOutcome> MergeAsync(
        StagedRows source, MergeRules rules, WriteOptions? options = null, CancellationToken cancellationToken = default) =>
        RowMerge.RunAsync(this, source, rules, options ?? new(), cancellationToken);

    /// <summary>Writes many small files as few large ones; no row changes.</summary>
    /// <param name="where">SQL on partition columns; null: the whole table.</param>
    /// <param name="targetBytes">Files up to this size are put together up to this size. Default: 128 MiB.</param>
    public Task<CommitOutcome> OptimizeAsync(
        string? where = null,
        long targetBytes = TableCompaction.DefaultTargetBytes,
        WriteOptions? options = null,
        CancellationToken cancellationToken = default) =>
        TableCompaction.RunAsync(this, where, targetBytes, options ?? new(), cancellationToken);

    /// <summary>Makes the rows and columns of an older version current again, in a new version.</summary>
    public Task<CommitOutcome> RestoreAsync(long version, WriteOptions? options = null, CancellationToken cancellationToken = default) =>
        TableRestoration.RunAsync(this, () => SnapshotAsync(version, cancellationToken), options ?? new(), store, cancellationToken);

    /// <summary>Deletes the files that no retained version has.</summary>
    public Task<VacuumReport> VacuumAsync(VacuumOptions? options = null, CancellationToken cancellationToken = default) =>
        TableVacuum.RunAsync(this, options ?? new(), clock, store, paths, cancellationToken);

    /// <summary>Writes a checkpoint of the latest version, from which readers begin; commits do it now and then by themselves.</summary>
    public async Task CheckpointAsync(CancellationToken cancellationToken = default)
    {
        var snapshot = await SnapshotAsync(cancellationToken: cancellationToken).ConfigureAwait(false);
        WriterFeatures.CheckWritable(Path, snapshot);
        await Upkeep.CheckpointAsync(snapshot, new(snapshot.Metadata.Configuration), cancellationToken).ConfigureAwait(false);
    }

    internal string KeyOf(AddFile file) => paths.KeyOf(file.Path);

    /// <summary>The same for the same rows: the file, and which of its rows are deleted.</summary>
    internal (string Path, string? DeletionVector) IdentityOf(AddFile file) => (paths.Canonical(file.Path), file.DeletionVector?.UniqueId);

    /// <summary>The rows of some of a snapshot's files; each batch is the caller's to dispose.</summary>
    /// <param name="columns">Outermost columns; null: all.</param>
    internal async IAsyncEnumerable<RecordBatch> ReadFilesAsync(
        Snapshot snapshot, IEnumerable<AddFile> files, IReadOnlyList<string>? columns, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var scan = new TableScan(store, paths, snapshot, columns, predicate: null);
        foreach (var file in files)
            await foreach (var batch in scan.ReadAsync(file, progress: null, cancellationToken).ConfigureAwait(false))
                yield return batch;
    }
}
