using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Runtime.CompilerServices;
using Apache.Arrow;
using Apache.Arrow.Types;
using ModelOps.Storage;

namespace ModelOps.Tables.Delta;

/// <summary>The rows that commits changed (PROTOCOL.md, "Reader Requirements for AddCDCFile").</summary>
internal sealed class TableChanges(IObjectStore store, DeltaLog log, TablePaths paths)
{
    private static readonly Field ChangeType = new("_change_type", StringType.Default, nullable: false);
    private static readonly Field CommitVersion = new("_commit_version", Int64Type.Default, nullable: false);
    private static readonly Field CommitTimestamp = new("_commit_timestamp", new TimestampType(TimeUnit.Microsecond, "UTC"), nullable: false);

    public async IAsyncEnumerable<RecordBatch> ReadAsync(long from, long to, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        if (from < 0 || from > to) throw new ArgumentOutOfRangeException(nameof(from), $"there are no versions from {from} to {to}");
        var end = (await log.ReplayAsync(to, cancellationToken).ConfigureAwait(false)).ToSnapshot();
        var times = await log.ListAsync(cancellationToken).ConfigureAwait(false);
        for (var version = from; version <= to; version++)
        {
            var lines = await log.ReadCommitAsync(version, cancellationToken).ConfigureAwait(false)
                ?? throw new DeltaException($"{log.KeyOf(CommitFile.Name(version))} is not there: what version {version} changed is not known");
            var info = lines.Select(line => line.CommitInfo).FirstOrDefault(info => info is not null);
            var time = (info is { } said ? CommitInfo.InCommitTimestampOf(said) : null) ?? times.Of(version);
            await foreach (var batch in ReadCommitAsync(end, version, time, lines, cancellationToken).ConfigureAwait(false)) yield return batch;
        }
    }

    private async IAsyncEnumerable<RecordBatch> ReadCommitAsync(
        Snapshot schema, long version, DateTimeOffset time, IReadOnlyList<LogLine> lines, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var scan = new TableScan(store, paths, schema, columns: null, predicate: null);
        // 1. What the writer kept of the changes, and nothing else, where it kept any.
        var kept = lines.Select(line => line.Cdc).OfType<AddChangeFile>().ToList();
        var keptScan = new TableScan(store, paths, schema, columns: null, predicate: null, more: ChangeType);
        foreach (var file in kept)
            await foreach (var batch in keptScan.ReadAsync(file.Path, file.PartitionValues, isKept: null, progress: null, cancellationToken).ConfigureAwait(false))
                yield return With(batch, Constant(CommitVersion, version, batch.Length), Constant(CommitTimestamp, time, batch.Length));
        if (kept.Count > 0) yield break;

        // 2. The files that went and came; of a file that did both, the rows that its deletion vectors tell apart.
        var removes = lines.Select(line => line.Remove).OfType<RemoveFile>().Where(file => file.DataChange).ToList();
        var adds = lines.Select(line => line.Add).OfType<AddFile>().Where(file => file.DataChange).ToList();
        foreach (var file in removes)
        {
            var before = await scan.DeletedAsync(file.Path, file.DeletionVector, cancellationToken).ConfigureAwait(false);
            var again = adds.Find(add => IsSame(add.Path, file.Path));
            var after = again is null ? null : await scan.DeletedAsync(again.Path, again.DeletionVector, cancellationToken).ConfigureAwait(false);
            var partition = again?.PartitionValues ?? Partition(schema, file);
            bool IsGone(long row) => before?.Contains(row) != true && (again is null || after?.Contains(row) == true);
            await foreach (var batch in scan.ReadAsync(file.Path, partition, IsGone, progress: null, cancellationToken).ConfigureAwait(false))
                yield return Changed(batch, "delete", version, time);
        }
        foreach (var file in adds)
        {
            var after = await scan.DeletedAsync(file.Path, file.DeletionVector, cancellationToken).ConfigureAwait(false);
            var earlier = removes.Find(remove => IsSame(remove.Path, file.Path));
            var before = earlier is null ? null : await scan.DeletedAsync(earlier.Path, earlier.DeletionVector, cancellationToken).ConfigureAwait(false);
            bool IsNew(long row) => after?.Contains(row) != true && (earlier is null || before?.Contains(row) == true);
            await foreach (var batch in scan.ReadAsync(file.Path, file.PartitionValues, IsNew, progress: null, cancellationToken).ConfigureAwait(false))
                yield return Changed(batch, "insert", version, time);
        }
    }

    private bool IsSame(string one, string other) => paths.Canonical(one) == paths.Canonical(other);

    private IReadOnlyDictionary<string, string?> Partition(Snapshot schema, RemoveFile file) => file.PartitionValues
        ?? (schema.PartitionColumns.Count == 0
            ? new Dictionary<string, string?>(StringComparer.Ordinal)
            : throw new DeltaException($"{paths.Table}: the log does not say of which partition {file.Path} was, which it removes"));

    private static RecordBatch Changed(RecordBatch batch, string type, long version, DateTimeOffset time) => With(
        batch, Constant(ChangeType, type, batch.Length), Constant(CommitVersion, version, batch.Length), Constant(CommitTimestamp, time, batch.Length));

    private static (Field Field, ArrayData Data) Constant(Field field, object value, int length)
    {
        var text = value is DateTimeOffset time ? time.ToString("O", CultureInfo.InvariantCulture) : Convert.ToString(value, CultureInfo.InvariantCulture);
        return (field, ConstantColumn.Build(field, text, length) ?? throw new ArgumentException($"'{text}' is no value of {field.Name}", nameof(value)));
    }

    /// <summary>Takes the batch over.</summary>
    [SuppressMessage("Reliability", "CA2000", Justification = "the batch owns its columns")]
    private static RecordBatch With(RecordBatch batch, params ReadOnlySpan<(Field Field, ArrayData Data)> more)
    {
        var (fields, columns) = (batch.Schema.FieldsList.ToList(), batch.Arrays.ToList());
        foreach (var (field, data) in more)
        {
            fields.Add(field);
            columns.Add(ArrowArrayFactory.BuildArray(data));
        }
        return new(new Schema(fields, metadata: null), columns, batch.Length);
    }
}
