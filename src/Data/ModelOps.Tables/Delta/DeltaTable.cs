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
    private readonly DeltaLog log;
    private readonly TimeProvider clock;

    private DeltaTable(IObjectStore store, string path, TimeProvider? clock, Random? random, Uri? root = null)
    {
        (this.store, Path, this.clock) = (store, path, clock ?? TimeProvider.System);
        Paths = new(store, path, root);
        log = new(store, Paths);
        DataFiles = new(store, Paths, this.clock);
        Committer = new(store, Paths, log, this.clock, random ?? Random.Shared);
        Upkeep = new(store, log, this.clock);
    }

    /// <summary>The table's folder in the store.</summary>
    public string Path { get; }

    internal TablePaths Paths { get; }

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

    /// <summary>The latest version, read from a known one on: only what was committed since is looked at.</summary>
    /// <exception cref="DeltaException">The log is broken, or the table needs what is not supported.</exception>
    public async Task<Snapshot> SnapshotAsync(Snapshot known, CancellationToken cancellationToken = default) =>
        (await log.ReplayAsync(known, cancellationToken).ConfigureAwait(false)).ToSnapshot();

    /// <summary>The table as it was at a time: the latest version that was committed by then.</summary>
    /// <exception cref="DeltaException">The log begins later, or it is broken, or the table needs what is not supported.</exception>
    public async Task<Snapshot> SnapshotAsync(DateTimeOffset time, CancellationToken cancellationToken = default) =>
        await SnapshotAsync(await new TableHistory(log, Path).VersionAtAsync(time, cancellationToken).ConfigureAwait(false), cancellationToken)
            .ConfigureAwait(false);

    /// <summary>The rows of a snapshot, file by file; each batch is the caller's to dispose.</summary>
    /// <exception cref="DeltaException">A file is missing, broken, or does not fit the schema.</exception>
    public IAsyncEnumerable<RecordBatch> ReadAsync(Snapshot snapshot, CancellationToken cancellationToken = default) =>
        ReadFilesAsync(snapshot, snapshot.Files, columns: null, cancellationToken);

    /// <summary>Of a snapshot, the rows for which a predicate is true; files and row groups that cannot have any are not read.</summary>
    /// <param name="columns">Outermost columns, in the order wanted; null: all.</param>
    /// <param name="predicate">Parsed for the snapshot's schema; null: every row.</param>
    /// <param name="progress">Told what is read.</param>
    /// <exception cref="ArgumentException">There is no such column.</exception>
    /// <exception cref="DeltaException">A file is missing, broken, or does not fit the schema.</exception>
    public IAsyncEnumerable<RecordBatch> ReadAsync(
        Snapshot snapshot,
        IReadOnlyList<string>? columns,
        Predicate? predicate,
        ScanProgress? progress = null,
        CancellationToken cancellationToken = default)
    {
        var files = predicate is null ? snapshot.Files : FileSkipping.Matching(snapshot, predicate);
        return new TableScan(store, Paths, snapshot, columns, predicate).ReadAsync(files, progress, cancellationToken);
    }

    /// <summary>The commits that the log still has, latest first.</summary>
    /// <exception cref="DeltaException">A commit is broken.</exception>
    public IAsyncEnumerable<TableCommit> HistoryAsync(CancellationToken cancellationToken = default) =>
        new TableHistory(log, Path).ReadAsync(cancellationToken);

    /// <summary>
    /// The rows that commits changed, in the schema of the last of them, with the columns _change_type (insert, delete, update_preimage,
    /// update_postimage), _commit_version and _commit_timestamp behind; each batch is the caller's to dispose. Where a commit does not keep what it
    /// changed, the rows of a file that it removed are deleted and those of a file that it added are inserted.
    /// </summary>
    /// <param name="from">The first commit.</param>
    /// <param name="to">The last commit.</param>
    /// <exception cref="DeltaException">There is no such version, its commit was cleaned away, or a file is missing or broken.</exception>
    public IAsyncEnumerable<RecordBatch> ChangesAsync(long from, long to, CancellationToken cancellationToken = default) =>
        new TableChanges(store, log, Paths).ReadAsync(from, to, cancellationToken);

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

    /// <summary>Makes the table again what it was at a time, in a new version.</summary>
    public Task<CommitOutcome> RestoreAsync(DateTimeOffset time, WriteOptions? options = null, CancellationToken cancellationToken = default) =>
        TableRestoration.RunAsync(this, () => SnapshotAsync(time, cancellationToken), options ?? new(), store, cancellationToken);

    /// <summary>Deletes the files that no retained version has.</summary>
    public Task<VacuumReport> VacuumAsync(VacuumOptions? options = null, CancellationToken cancellationToken = default) =>
        TableVacuum.RunAsync(this, options ?? new(), clock, store, cancellationToken);

    /// <summary>Writes a checkpoint of the latest version, from which readers begin; commits do it now and then by themselves.</summary>
    public async Task CheckpointAsync(CancellationToken cancellationToken = default)
    {
        var snapshot = await SnapshotAsync(cancellationToken: cancellationToken).ConfigureAwait(false);
        WriterFeatures.CheckWritable(Path, snapshot);
        await Upkeep.CheckpointAsync(snapshot, new(snapshot.Metadata.Configuration), cancellationToken).ConfigureAwait(false);
    }

    internal string KeyOf(AddFile file) => Paths.KeyOf(file.Path);

    /// <summary>The same for the same rows: the file, and which of its rows are deleted.</summary>
    internal (string Path, string? DeletionVector) IdentityOf(AddFile file) => (Paths.Canonical(file.Path), file.DeletionVector?.UniqueId);

    /// <summary>The rows of some of a snapshot's files; each batch is the caller's to dispose.</summary>
    /// <param name="columns">Outermost columns; null: all.</param>
    internal IAsyncEnumerable<RecordBatch> ReadFilesAsync(
        Snapshot snapshot, IEnumerable<AddFile> files, IReadOnlyList<string>? columns, CancellationToken cancellationToken) =>
        new TableScan(store, Paths, snapshot, columns, predicate: null).ReadAsync(files, progress: null, cancellationToken);
}
