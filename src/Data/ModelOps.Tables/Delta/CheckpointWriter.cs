using System.Diagnostics.CodeAnalysis;
using System.Text.Json;
using Apache.Arrow;
using Apache.Arrow.Types;
using ModelOps.Storage;
using ParquetSharp;
using ParquetSharp.Arrow;

namespace ModelOps.Tables.Delta;

/// <summary>
/// Writes a snapshot as a checkpoint in one file (PROTOCOL.md, "Checkpoints", V1 spec): one action a row, a column for each kind, of which
/// all but one are null.
/// </summary>
[SuppressMessage("Reliability", "CA2000", Justification = "arrays own what they are made of, batches their arrays")]
internal static class CheckpointWriter
{
    private const int BatchRows = 10_000;

    /// <param name="expired">Files removed before this are no longer remembered.</param>
    public static async Task<LastCheckpoint> WriteAsync(
        IObjectStore store, DeltaLog log, Snapshot snapshot, DateTimeOffset expired, CancellationToken cancellationToken)
    {
        var lines = Lines(snapshot, expired.ToUnixTimeMilliseconds());
        var file = Path.GetTempFileName();
        try
        {
            Write(file, lines);
            var content = File.OpenRead(file);
            await using (content.ConfigureAwait(false))
                await store.PutAsync(log.KeyOf(Name(snapshot.Version)), content, PutMode.Replace, cancellationToken).ConfigureAwait(false);
            var last = new LastCheckpoint(snapshot.Version, lines.Count, new FileInfo(file).Length, snapshot.Files.Count);
            // Only a hint, and only after the checkpoint itself: who reads it finds what it says.
            using var hint = new MemoryStream(JsonSerializer.SerializeToUtf8Bytes(last, DeltaJson.Default.LastCheckpoint), writable: false);
            await store.PutAsync(log.KeyOf(LastCheckpoint.FileName), hint, PutMode.Replace, cancellationToken).ConfigureAwait(false);
            return last;
        }
        finally
        {
            File.Delete(file);
        }
    }

    private static string Name(long version) => $"{version:D20}.checkpoint.parquet";

    private static List<LogLine> Lines(Snapshot snapshot, long expired) =>
    [
        new() { Protocol = snapshot.Protocol },
        new() { MetaData = snapshot.Metadata },
        .. snapshot.Transactions.Values.Select(transaction => new LogLine { Txn = transaction }),
        .. snapshot.Domains.Values.Select(domain => new LogLine { DomainMetadata = domain }),
        .. snapshot.Files.Select(file => new LogLine { Add = file with { DataChange = false } }),
        .. snapshot.Tombstones.Where(tombstone => tombstone.DeletionTimestamp > expired)
            .Select(tombstone => new LogLine { Remove = tombstone with { DataChange = false } }),
    ];

    private static void Write(string file, List<LogLine> lines)
    {
        using var builder = new WriterPropertiesBuilder();
        using var properties = builder.Compression(Compression.Snappy).Build();
        FileWriter? writer = null;
        try
        {
            foreach (var chunk in lines.Chunk(BatchRows))
            {
                using var batch = Batch(chunk);
                writer ??= new(file, batch.Schema, properties);
                writer.WriteRecordBatch(batch);
            }
            writer!.Close();
        }
        finally
        {
            writer?.Dispose();
        }
    }

    private static RecordBatch Batch(LogLine[] lines)
    {
        (string Name, IArrowArray Values)[] columns =
        [
            ("txn", Rows(lines, line => line.Txn,
                ("appId", rows => Texts(rows, txn => txn?.AppId)),
                ("version", rows => Longs(rows, txn => txn?.Version)),
                ("lastUpdated", rows => Longs(rows, txn => txn?.LastUpdated)))),
            ("add", Rows(lines, line => line.Add,
                ("path", rows => Texts(rows, add => add?.Path)),
                ("partitionValues", rows => Maps(rows, add => add?.PartitionValues)),
                ("size", rows => Longs(rows, add => add?.Size)),
                ("modificationTime", rows => Longs(rows, add => add?.ModificationTime)),
                ("dataChange", rows => Flags(rows, add => add?.DataChange)),
                ("stats", rows => Texts(rows, add => add?.Stats)),
                ("tags", rows => Maps(rows, add => add?.Tags)),
                ("deletionVector", rows => Vectors(rows, add => add?.DeletionVector)),
                ("baseRowId", rows => Longs(rows, add => add?.BaseRowId)),
                ("defaultRowCommitVersion", rows => Longs(rows, add => add?.DefaultRowCommitVersion)),
                ("clusteringProvider", rows => Texts(rows, add => add?.ClusteringProvider)))),
            ("remove", Rows(lines, line => line.Remove,
                ("path", rows => Texts(rows, remove => remove?.Path)),
                ("deletionTimestamp", rows => Longs(rows, remove => remove?.DeletionTimestamp)),
                ("dataChange", rows => Flags(rows, remove => remove?.DataChange)),
                ("extendedFileMetadata", rows => Flags(rows, remove => remove?.ExtendedFileMetadata)),
                ("partitionValues", rows => Maps(rows, remove => remove?.PartitionValues)),
                ("size", rows => Longs(rows, remove => remove?.Size)),
                ("deletionVector", rows => Vectors(rows, remove => remove?.DeletionVector)),
                ("baseRowId", rows => Longs(rows, remove => remove?.BaseRowId)),
                ("defaultRowCommitVersion", rows => Longs(rows, remove => remove?.DefaultRowCommitVersion)))),
            ("metaData", Rows(lines, line => line.MetaData,
                ("id", rows => Texts(rows, metadata => metadata?.Id)),
                ("name", rows => Texts(rows, metadata => metadata?.Name)),
                ("description", rows => Texts(rows, metadata => metadata?.Description)),
                ("format", rows => Rows(rows, metadata => metadata?.Format,
                    ("provider", formats => Texts(formats, format => format?.Provider)),
                    ("options", formats => Maps(formats, format => Nullable(format?.Options))))),
                ("schemaString", rows => Texts(rows, metadata => metadata?.SchemaString)),
                ("partitionColumns", rows => Lists(rows, metadata => metadata?.PartitionColumns)),
                ("configuration", rows => Maps(rows, metadata => Nullable(metadata?.Configuration))),
                ("createdTime", rows => Longs(rows, metadata => metadata?.CreatedTime)))),
            ("protocol", Rows(lines, line => line.Protocol,
                ("minReaderVersion", rows => Numbers(rows, protocol => protocol?.MinReaderVersion)),
                ("minWriterVersion", rows => Numbers(rows, protocol => protocol?.MinWriterVersion)),
                ("readerFeatures", rows => Lists(rows, protocol => protocol?.ReaderFeatures)),
                ("writerFeatures", rows => Lists(rows, protocol => protocol?.WriterFeatures)))),
            ("domainMetadata", Rows(lines, line => line.DomainMetadata,
                ("domain", rows => Texts(rows, domain => domain?.Domain)),
                ("configuration", rows => Texts(rows, domain => domain?.Configuration)),
                ("removed", rows => Flags(rows, domain => domain?.Removed)))),
        ];
        var schema = new Schema(columns.Select(column => new Field(column.Name, column.Values.Data.DataType, nullable: true)), metadata: null);
        return new(schema, columns.Select(column => column.Values), lines.Length);
    }

    private static StructArray Vectors<T>(IReadOnlyList<T> rows, Func<T, DeletionVector?> vector) => Rows(rows, vector,
        ("storageType", vectors => Texts(vectors, dv => dv?.StorageType)),
        ("pathOrInlineDv", vectors => Texts(vectors, dv => dv?.PathOrInlineDv)),
        ("offset", vectors => Numbers(vectors, dv => dv?.Offset)),
        ("sizeInBytes", vectors => Numbers(vectors, dv => dv?.SizeInBytes)),
        ("cardinality", vectors => Longs(vectors, dv => dv?.Cardinality)));

    private static StructArray Rows<TRow, T>(
        IReadOnlyList<TRow> rows, Func<TRow, T?> value, params (string Name, Func<IReadOnlyList<T?>, IArrowArray> Column)[] columns)
        where T : class
    {
        var values = rows.Select(value).ToList();
        var arrays = columns.Select(column => (column.Name, Values: column.Column(values))).ToList();
        var type = new StructType([.. arrays.Select(array => new Field(array.Name, array.Values.Data.DataType, nullable: true))]);
        var (bits, nulls) = Present(values, item => item is not null);
        return new(type, rows.Count, arrays.Select(array => array.Values), bits, nulls);
    }

    private static StringArray Texts<T>(IReadOnlyList<T> rows, Func<T, string?> text)
    {
        var texts = new StringArray.Builder();
        foreach (var row in rows) texts.Append(text(row));
        return texts.Build();
    }

    private static Int64Array Longs<T>(IReadOnlyList<T> rows, Func<T, long?> number)
    {
        var numbers = new Int64Array.Builder();
        foreach (var row in rows) numbers.Append(number(row));
        return numbers.Build();
    }

    private static Int32Array Numbers<T>(IReadOnlyList<T> rows, Func<T, int?> number)
    {
        var numbers = new Int32Array.Builder();
        foreach (var row in rows) numbers.Append(number(row));
        return numbers.Build();
    }

    private static BooleanArray Flags<T>(IReadOnlyList<T> rows, Func<T, bool?> flag)
    {
        var flags = new BooleanArray.Builder();
        foreach (var row in rows)
            _ = flag(row) is { } value ? flags.Append(value) : flags.AppendNull();
        return flags.Build();
    }

    private static ListArray Lists<T>(IReadOnlyList<T> rows, Func<T, IReadOnlyList<string>?> list)
    {
        var lists = rows.Select(list).ToList();
        var texts = Texts(lists.SelectMany(items => items ?? []).ToList(), text => text);
        var (bits, nulls) = Present(lists, items => items is not null);
        var type = new ListType(new Field("element", StringType.Default, nullable: true));
        return new(type, rows.Count, Offsets(lists.Select(items => items?.Count ?? 0)), texts, bits, nulls);
    }

    private static MapArray Maps<T>(IReadOnlyList<T> rows, Func<T, IReadOnlyDictionary<string, string?>?> map)
    {
        var maps = rows.Select(map).ToList();
        var entries = maps.SelectMany(items => items ?? new Dictionary<string, string?>(StringComparer.Ordinal)).ToList();
        var type = new MapType(new Field("key", StringType.Default, nullable: false), new Field("value", StringType.Default, nullable: true));
        var pairs = new StructArray(
            type.KeyValueType, entries.Count, [Texts(entries, entry => entry.Key), Texts(entries, entry => entry.Value)], ArrowBuffer.Empty);
        var (bits, nulls) = Present(maps, items => items is not null);
        return new(type, rows.Count, Offsets(maps.Select(items => items?.Count ?? 0)), pairs, bits, nulls);
    }

    private static Dictionary<string, string?>? Nullable(IReadOnlyDictionary<string, string>? map) =>
        map?.ToDictionary(entry => entry.Key, string? (entry) => entry.Value, StringComparer.Ordinal);

    private static (ArrowBuffer Bits, int Nulls) Present<T>(List<T> values, Func<T, bool> isPresent)
    {
        var bits = new byte[(values.Count + 7) / 8];
        for (var i = 0; i < values.Count; i++)
            if (isPresent(values[i])) BitUtility.SetBit(bits, i);
        return (new(bits), values.Count - BitUtility.CountBits(bits));
    }

    private static ArrowBuffer Offsets(IEnumerable<int> lengths)
    {
        var offsets = new ArrowBuffer.Builder<int>().Append(0);
        var end = 0;
        foreach (var length in lengths) offsets.Append(end += length);
        return offsets.Build();
    }
}

/// <summary>Where to begin to read the log, as a hint (PROTOCOL.md, "Last Checkpoint File").</summary>
/// <param name="Size">Actions.</param>
/// <param name="SizeInBytes">Of the checkpoint's file.</param>
internal sealed record LastCheckpoint(long Version, long Size, long? SizeInBytes = null, long? NumOfAddFiles = null)
{
    public const string FileName = "_last_checkpoint";
}
