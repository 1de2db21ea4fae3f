using System.Text.Json;
using Apache.Arrow;
using Apache.Arrow.Types;

namespace ModelOps.Tables.Delta;

/// <summary>What of the protocol this writer knows (PROTOCOL.md, "Requirements for Writers" and "Table Features").</summary>
internal static class WriterFeatures
{
    private const int FeatureVersion = 7; // from here on a table lists what it needs
    private const string AppendOnly = "appendOnly";
    private const string Invariants = "invariants";
    private const string CheckConstraints = "checkConstraints";
    private const string ChangeDataFeed = "changeDataFeed";
    private const string TimestampNtz = "timestampNtz";
    private const string InCommitTimestamp = "inCommitTimestamp";

    // generatedColumns and identityColumns ask for nothing until a column is one: those are refused by name.
    private static readonly string[] Known =
    [
        AppendOnly, Invariants, CheckConstraints, ChangeDataFeed, TimestampNtz, InCommitTimestamp, "deletionVectors", "domainMetadata",
        "v2Checkpoint", "vacuumProtocolCheck", "generatedColumns", "identityColumns",
    ];

    private static readonly (string Key, string What)[] ColumnFeatures =
    [
        ("delta.generationExpression", "is generated"), ("delta.identity.start", "is an identity column"), ("CURRENT_DEFAULT", "has a default value"),
    ];

    /// <summary>The least that a table of this schema and these properties needs, so that old readers and writers can use it.</summary>
    public static Protocol For(Schema schema, TableProperties properties)
    {
        var isLocal = schema.FieldsList.Any(field => HasLocalTime(field.DataType));
        if (!isLocal && !properties.HasInCommitTimestamps)
        {
            var writer = properties.HasChangeDataFeed ? 4 : properties.Constraints.Count > 0 ? 3 : 2;
            return new(MinReaderVersion: 1, writer);
        }
        var features = new List<string> { AppendOnly, Invariants };
        if (properties.Constraints.Count > 0) features.Add(CheckConstraints);
        if (properties.HasChangeDataFeed) features.Add(ChangeDataFeed);
        if (properties.HasInCommitTimestamps) features.Add(InCommitTimestamp);
        if (isLocal) features.Add(TimestampNtz);
        return isLocal ? new(MinReaderVersion: 3, FeatureVersion, [TimestampNtz], features) : new(MinReaderVersion: 1, FeatureVersion, null, features);
    }

    /// <exception cref="DeltaException">A writer of this table must do more than this one does; all of it is named.</exception>
    public static void CheckWritable(string table, Snapshot snapshot)
    {
        var faults = Faults(snapshot).ToList();
        if (faults.Count > 0) throw new DeltaException($"{table} cannot be written: {string.Join("; ", faults)}");
    }

    /// <exception cref="DeltaException">Rows may only be added (delta.appendOnly).</exception>
    public static void CheckRemovable(string table, Snapshot snapshot)
    {
        if (snapshot.Files.Count > 0 && new TableProperties(snapshot.Metadata.Configuration).IsAppendOnly)
            throw new DeltaException($"{table} is append-only (delta.appendOnly): its rows cannot be changed or removed");
    }

    private static IEnumerable<string> Faults(Snapshot snapshot)
    {
        var protocol = snapshot.Protocol;
        if (protocol.MinWriterVersion is < 1 or > FeatureVersion) yield return $"it needs a writer of protocol version {protocol.MinWriterVersion}";
        if (protocol.MinWriterVersion >= FeatureVersion)
            foreach (var feature in (protocol.WriterFeatures ?? []).Except(Known, StringComparer.Ordinal))
                yield return $"it needs the writer feature {feature}, which is not supported";
        if (snapshot.MappingMode != ColumnMappingMode.None) yield return "it needs the writer feature columnMapping, which is not supported";
        foreach (var (name, metadata) in snapshot.Schema.FieldsList.SelectMany(field => Columns(field, field.Name)))
            foreach (var (key, what) in ColumnFeatures)
                if (metadata.ContainsKey(key)) yield return $"column {name} {what}, which is not supported";
        foreach (var fault in RowRules.Faults(snapshot)) yield return fault;
    }

    private static IEnumerable<(string Name, IReadOnlyDictionary<string, string> Metadata)> Columns(Field field, string path)
    {
        if (field.Metadata is { } metadata) yield return (path, metadata);
        if (field.DataType is NestedType nested)
            foreach (var column in nested.Fields.SelectMany(child => Columns(child, $"{path}.{child.Name}"))) yield return column;
    }

    private static bool HasLocalTime(IArrowType type) => type switch
    {
        TimestampType timestamp => timestamp.Timezone is null,
        NestedType nested => nested.Fields.Any(field => HasLocalTime(field.DataType)),
        _ => false,
    };
}

/// <summary>The conditions that every new row meets: check constraints and column invariants.</summary>
internal sealed class RowRules
{
    private const string InvariantKey = "delta.invariants";
    private readonly List<(string Name, string Sql, Predicate Predicate)> rules;

    private RowRules(List<(string, string, Predicate)> rules) => this.rules = rules;

    public bool IsEmpty => rules.Count == 0;

    /// <param name="schema">That of the rows to be checked: the table's, or what it is to become.</param>
    public static RowRules Of(Snapshot snapshot, Schema schema) =>
        new([.. Texts(snapshot).Select(rule => (rule.Name, rule.Sql, Predicate.Parse(rule.Sql, schema)))]);

    /// <summary>Just this one condition.</summary>
    public static RowRules Of(string name, string sql, Predicate predicate) => new([(name, sql, predicate)]);

    /// <summary>The conditions that cannot be checked, and why.</summary>
    public static IEnumerable<string> Faults(Snapshot snapshot)
    {
        foreach (var (name, sql) in Texts(snapshot))
        {
            string fault;
            try
            {
                Predicate.Parse(sql, snapshot.Schema);
                continue;
            }
            catch (FormatException e)
            {
                fault = e.Message;
            }
            yield return $"{name} ({sql}) cannot be checked: {fault}";
        }
    }

    /// <exception cref="ArgumentException">Rows break a rule: a condition that is false or unknown of them.</exception>
    public void Check(RecordBatch rows)
    {
        foreach (var (name, sql, predicate) in rules)
        {
            using var kept = predicate.Evaluate(rows);
            var broken = Enumerable.Range(0, rows.Length).Count(i => kept.GetValue(i) != true);
            if (broken > 0) throw new ArgumentException($"{broken} of {rows.Length} rows break {name}: {sql}", nameof(rows));
        }
    }

    private static IEnumerable<(string Name, string Sql)> Texts(Snapshot snapshot)
    {
        foreach (var (name, sql) in new TableProperties(snapshot.Metadata.Configuration).Constraints) yield return ($"the constraint {name}", sql);
        foreach (var field in snapshot.Schema.FieldsList)
            if (field.Metadata?.GetValueOrDefault(InvariantKey) is { } json) yield return ($"the invariant of {field.Name}", Invariant(json));
    }

    /// <returns>The text itself where it is not what the protocol says: it is then no SQL and named as such.</returns>
    private static string Invariant(string json)
    {
        try
        {
            using var document = JsonDocument.Parse(json);
            return document.RootElement.GetProperty("expression").GetProperty("expression").GetString() ?? json;
        }
        catch (Exception e) when (e is JsonException or KeyNotFoundException or InvalidOperationException)
        {
            return json;
        }
    }
}
