using System.Diagnostics.CodeAnalysis;
using System.Text;
using System.Text.Json;
using Apache.Arrow;
using Apache.Arrow.Types;
using ModelOps.Storage;
using ModelOps.Tables.Datasets;
using ModelOps.Tables.Delta;

namespace ModelOps.Tables.Evaluations;

/// <summary>A dataset's row, and what models made of it.</summary>
/// <param name="Id">The row's in its dataset.</param>
/// <param name="Base">Null where nothing is compared.</param>
public sealed record EvaluatedRow(string Id, IReadOnlyList<RowMessage> Prompt, string Reference, EvaluatedSide Candidate, EvaluatedSide? Base);

/// <param name="Answer">Null where none was asked for.</param>
/// <param name="Metrics">By name; one that was not measured in the row is not there.</param>
public sealed record EvaluatedSide(string? Answer, IReadOnlyDictionary<string, double> Metrics);

/// <param name="Path">In the store of tables.</param>
public sealed record WrittenTable(string Path, long Version);

/// <summary>
/// The rows of an evaluation as a Delta table of its own: <c>row</c> (from 0, in the order of the split), <c>id</c>, <c>prompt</c> (a JSON array
/// of <c>role</c> and <c>content</c>), <c>reference</c>, <c>answer</c>, a column a metric, and <c>base_answer</c> and <c>base_METRIC</c> where two are compared.
/// </summary>
public static class EvaluationTable
{
    private const int BatchRows = 1024;

    /// <summary>Writes the table in one commit; written again for the same job it stays as it is.</summary>
    /// <exception cref="DeltaException">The table is broken, or another writer changed it.</exception>
    public static async Task<WrittenTable> WriteAsync(
        IObjectStore tables, string job, IReadOnlyList<string> metrics, IEnumerable<EvaluatedRow> rows, bool compared, CancellationToken cancellationToken)
    {
        var path = $"evaluations/{job}";
        var schema = SchemaOf(metrics, compared);
        using var staged = new StagedRows(schema);
        foreach (var chunk in rows.Chunk(BatchRows)) Stage(staged, chunk, metrics, compared);
        var table = await DeltaTable.OpenAsync(tables, path, cancellationToken: cancellationToken).ConfigureAwait(false)
            ?? await DeltaTable.CreateAsync(tables, path, schema, cancellationToken: cancellationToken).ConfigureAwait(false)
            ?? throw new DeltaException($"another writer made the table {path} meanwhile");
        var options = new WriteOptions { Job = job, Application = new(job, Version: 1) };
        return await table.OverwriteAsync(staged, options, cancellationToken).ConfigureAwait(false) switch
        {
            CommitOutcome.Committed committed => new(path, committed.Version),
            CommitOutcome.Unchanged unchanged => new(path, unchanged.Version),
            CommitOutcome.Conflict conflict => throw new DeltaException(conflict.Reason),
            var other => throw new InvalidOperationException($"{other} is no outcome of a commit"),
        };
    }

    private static void Stage(StagedRows staged, EvaluatedRow[] rows, IReadOnlyList<string> metrics, bool compared)
    {
        using var batch = Build(staged.Schema, staged.Rows, rows, metrics, compared);
        staged.Write(batch);
    }

    private static Schema SchemaOf(IReadOnlyList<string> metrics, bool compared) => new(
        [
            new("row", Int64Type.Default, nullable: false),
            new("id", StringType.Default, nullable: false),
            new("prompt", StringType.Default, nullable: false),
            new("reference", StringType.Default, nullable: false),
            new("answer", StringType.Default, nullable: true),
            .. metrics.Select(metric => new Field(metric, DoubleType.Default, nullable: true)),
            .. compared ? metrics.Select(metric => new Field($"base_{metric}", DoubleType.Default, nullable: true)).Prepend(new("base_answer", StringType.Default, nullable: true)) : [],
        ],
        metadata: null);

    [SuppressMessage("Reliability", "CA2000", Justification = "the batch owns its columns")]
    private static RecordBatch Build(Schema schema, long start, EvaluatedRow[] rows, IReadOnlyList<string> metrics, bool compared)
    {
        List<IArrowArray> columns =
        [
            new Int64Array.Builder().AppendRange(rows.Select((_, index) => start + index)).Build(),
            Texts(rows.Select(row => row.Id)),
            Texts(rows.Select(row => Json(row.Prompt))),
            Texts(rows.Select(row => row.Reference)),
            Texts(rows.Select(row => row.Candidate.Answer)),
            .. metrics.Select(metric => Numbers(rows.Select(row => row.Candidate.Metrics), metric)),
        ];
        if (compared)
        {
            columns.Add(Texts(rows.Select(row => row.Base!.Answer)));
            columns.AddRange(metrics.Select(metric => Numbers(rows.Select(row => row.Base!.Metrics), metric)));
        }
        return new(schema, columns, rows.Length);
    }

    private static StringArray Texts(IEnumerable<string?> texts)
    {
        var column = new StringArray.Builder();
        foreach (var text in texts) column.Append(text);
        return column.Build();
    }

    private static DoubleArray Numbers(IEnumerable<IReadOnlyDictionary<string, double>> rows, string metric)
    {
        var column = new DoubleArray.Builder();
        foreach (var row in rows)
        {
            if (row.TryGetValue(metric, out var value)) column.Append(value);
            else column.AppendNull();
        }
        return column.Build();
    }

    private static string Json(IReadOnlyList<RowMessage> messages)
    {
        using var stream = new MemoryStream();
        using (var writer = new Utf8JsonWriter(stream))
        {
            writer.WriteStartArray();
            foreach (var message in messages)
            {
                writer.WriteStartObject();
                writer.WriteString("role", message.Role);
                writer.WriteString("content", message.Content);
                writer.WriteEndObject();
            }
            writer.WriteEndArray();
        }
        return Encoding.UTF8.GetString(stream.ToArray());
    }
}
