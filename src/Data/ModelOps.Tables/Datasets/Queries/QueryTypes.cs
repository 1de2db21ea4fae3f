using System.Text.Json;
using System.Text.Json.Serialization;

namespace ModelOps.Tables.Datasets.Queries;

/// <summary>A table that a query names: <c>train</c>, <c>other.train</c>, <c>"other@2".train</c>.</summary>
/// <param name="Dataset">null: the dataset that the query is put to.</param>
public sealed record TableName(string? Dataset, string Table);

/// <param name="Type">In DuckDB's words: VARCHAR, BIGINT, STRUCT("role" VARCHAR, …)[].</param>
public sealed record QueryColumn(string Name, string Type);

/// <summary>A table as DuckDB gets it.</summary>
/// <param name="Files">Parquet files on this machine.</param>
/// <param name="Columns">Of the table; what it is made of while it has no file.</param>
public sealed record QueryTable(TableName Name, IReadOnlyList<string> Files, IReadOnlyList<QueryColumn> Columns);

[JsonConverter(typeof(JsonStringEnumConverter<QueryFormat>))]
public enum QueryFormat
{
    [JsonStringEnumMemberName("csv")] Csv,
    [JsonStringEnumMemberName("parquet")] Parquet,
}

/// <summary>A part of the rows.</summary>
/// <param name="Offset">Rows before it.</param>
/// <param name="Bytes">Of JSON, from which on it ends early; it has at least one row.</param>
public sealed record QueryPage(long Offset, int Rows, long Bytes);

/// <summary>All rows, into a new file.</summary>
public sealed record QueryFile(string Path, QueryFormat Format);

/// <summary>One SELECT on tables. The rows go to a page or to a file.</summary>
public sealed record TableQuery(string Sql, IReadOnlyList<QueryTable> Tables, QueryPage? Page = null, QueryFile? File = null);

[JsonPolymorphic(TypeDiscriminatorPropertyName = "kind")]
[JsonDerivedType(typeof(Understood), "understood")]
[JsonDerivedType(typeof(Rows), "rows")]
[JsonDerivedType(typeof(Written), "written")]
[JsonDerivedType(typeof(Refused), "refused")]
[JsonDerivedType(typeof(Previewed), "previewed")]
public abstract record QueryAnswer
{
    private QueryAnswer()
    {
    }

    /// <param name="Tables">That it names, if they can be a dataset's.</param>
    public sealed record Understood(IReadOnlyList<TableName> Tables) : QueryAnswer;

    /// <param name="Items">A JSON object each; numbers that are none in JSON (NaN, infinity) are null.</param>
    public sealed record Rows(IReadOnlyList<QueryColumn> Columns, IReadOnlyList<JsonElement> Items, bool HasMore) : QueryAnswer;

    public sealed record Written(long Count) : QueryAnswer;

    public sealed record Previewed(DatasetPreview Preview) : QueryAnswer;

    /// <summary>It is no query that can be answered.</summary>
    /// <param name="Message">DuckDB's words, where they are.</param>
    /// <param name="Line">Of the SQL, from 1; null: not known.</param>
    /// <param name="Column">Of the line, from 1.</param>
    public sealed record Refused(string Message, int? Line = null, int? Column = null) : QueryAnswer
    {
        public override string ToString() => Line is null ? Message : $"line {Line}, column {Column}: {Message}";
    }
}

/// <summary>A file that somebody sent, to be looked into.</summary>
/// <param name="Path">On this machine.</param>
public sealed record FilePreview(string Path, PreviewRequest Request);

/// <summary>What the server asks of the process that runs a query: first what it names, then the rows; or what a file would become.</summary>
/// <param name="Understand">SQL to be read only.</param>
public sealed record QueryRequest(string? Understand = null, TableQuery? Run = null, FilePreview? Preview = null);

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(QueryRequest))]
[JsonSerializable(typeof(QueryAnswer))]
[JsonSerializable(typeof(DatasetPreview))]
public sealed partial class QueryJson : JsonSerializerContext;
