using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;
using DuckDB.NET.Data;

namespace ModelOps.Tables.Datasets.Queries;

/// <summary>
/// DuckDB over the files of tables, and over nothing else: only one SELECT is taken, and DuckDB's own access to files, network, extensions and
/// settings is closed. It works on one thread, so that equal queries on equal tables give their rows in the same order and pages fit together.
/// One engine answers one query.
/// </summary>
/// <remarks>
/// The memory limit holds for what DuckDB's buffer manager counts; texts in the middle of an expression it does not. Whoever takes SQL from
/// others runs this in a process of its own with a limit from the operating system.
/// </remarks>
public sealed partial class QueryEngine : IDisposable
{
    // Names that no query would choose: what a query says is never taken for ours.
    private const string Result = "\"modelops: result\"";
    private const string Row = "\"modelops: row\"";
    private readonly DuckDBConnection connection = new("DataSource=:memory:");
    private readonly long memoryBytes;

    public QueryEngine(long memoryBytes)
    {
        this.memoryBytes = memoryBytes;
        connection.Open();
        Execute(string.Create(CultureInfo.InvariantCulture,
            $"SET memory_limit = '{memoryBytes}B'; SET temp_directory = ''; SET threads = 1; SET errors_as_json = true; SET TimeZone = 'UTC'"));
    }

    /// <returns><see cref="QueryAnswer.Understood"/> or <see cref="QueryAnswer.Refused"/>.</returns>
    [SuppressMessage("Security", "CA2100", Justification = "the SQL is a parameter")]
    public QueryAnswer Understand(string sql)
    {
        using var command = connection.CreateCommand();
        command.CommandText = "SELECT json_serialize_sql($sql::VARCHAR)::VARCHAR";
        command.Parameters.Add(new DuckDBParameter("sql", sql));
        try
        {
            return QuerySyntax.Read(sql, (string)command.ExecuteScalar()!);
        }
        catch (DuckDBException e)
        {
            return Refuse(e, sql, offset: 0);
        }
    }

    /// <returns><see cref="QueryAnswer.Rows"/>, <see cref="QueryAnswer.Written"/> or <see cref="QueryAnswer.Refused"/>.</returns>
    /// <exception cref="OperationCanceledException">DuckDB was interrupted.</exception>
    public QueryAnswer Run(TableQuery query, CancellationToken cancellationToken)
    {
        if (Understand(query.Sql) is QueryAnswer.Refused refused) return refused;
        Close([.. query.Tables.SelectMany(table => table.Files), .. query.File is { } file ? [file.Path] : Array.Empty<string>()]);
        var prefix = $"CREATE TEMP VIEW {Result} AS ";
        var (open, close) = QuerySyntax.IsShown(query.Sql) ? ("FROM (", ")") : ("", "");
        try
        {
            foreach (var table in query.Tables) Create(table);
            Execute($"{prefix}{open}{(open.Length > 0 ? query.Sql.TrimEnd().TrimEnd(';') : query.Sql)}{close}", cancellationToken);
            return query.File is { } target ? Write(target, cancellationToken) : Read(query.Page!, cancellationToken);
        }
        catch (DuckDBException e)
        {
            return Refuse(e, query.Sql, prefix.Length + open.Length);
        }
    }

    public void Dispose() => connection.Dispose();

    /// <summary>For good: nothing can be opened any more but these files.</summary>
    private void Close(IReadOnlyList<string> files)
    {
        // DuckDB asks for leave twice: for the pattern as it is written and for the file that it finds.
        var allowed = Literals([.. files, .. files.Select(EscapeGlob)]);
        Execute(
            $"SET allowed_paths = [{allowed}]; SET autoinstall_known_extensions = false; SET autoload_known_extensions = false; "
                + "SET allow_community_extensions = false; SET enable_external_access = false; SET lock_configuration = true");
    }

    private void Create(QueryTable table)
    {
        var schema = Identifier(table.Name.Dataset ?? "main");
        var rows = table.Files.Count > 0
            ? $"SELECT * FROM read_parquet([{Literals(table.Files.Select(EscapeGlob))}])"
            : $"SELECT {string.Join(", ", table.Columns.Select(column => $"NULL::{column.Type} AS {Identifier(column.Name)}"))} WHERE false";
        Execute($"CREATE SCHEMA IF NOT EXISTS {schema}; CREATE VIEW {schema}.{Identifier(table.Name.Table)} AS {rows}");
    }

    [SuppressMessage("Security", "CA2100", Justification = "the view is the query; the numbers are numbers")]
    private QueryAnswer.Rows Read(QueryPage page, CancellationToken cancellationToken)
    {
        var columns = Columns();
        using var command = connection.CreateCommand();
        command.UseStreamingMode = true;
        command.CommandText = string.Create(CultureInfo.InvariantCulture,
            $"SELECT to_json({Row})::VARCHAR FROM (FROM {Result} LIMIT {page.Rows + 1L} OFFSET {page.Offset}) {Row}");
        using var interrupting = cancellationToken.Register(command.Cancel);
        using var reader = command.ExecuteReader();
        var (rows, bytes, hasMore) = (new List<JsonElement>(), 0L, false);
        while (!hasMore && reader.Read())
        {
            hasMore = rows.Count == page.Rows || bytes >= page.Bytes;
            if (hasMore) break;
            var row = reader.GetString(0);
            bytes += row.Length;
            rows.Add(JsonElement.Parse(NotJson().Replace(row, match => match.ValueSpan[0] == '"' ? match.Value : "null")));
        }
        cancellationToken.ThrowIfCancellationRequested();
        return new(columns, rows, hasMore);
    }

    private QueryAnswer.Written Write(QueryFile file, CancellationToken cancellationToken)
    {
        // A cell of CSV is text: what has structure is JSON there.
        var columns = file.Format == QueryFormat.Parquet ? "*" : string.Join(", ", Columns().Select(column =>
            column.Type.EndsWith(']') || column.Type.StartsWith("STRUCT(", StringComparison.Ordinal) || column.Type.StartsWith("MAP(", StringComparison.Ordinal)
                ? $"to_json({Identifier(column.Name)}) AS {Identifier(column.Name)}"
                : Identifier(column.Name)));
        var format = file.Format == QueryFormat.Parquet ? "FORMAT parquet, COMPRESSION zstd" : "FORMAT csv, HEADER";
        return new(Execute($"COPY (SELECT {columns} FROM {Result}) TO {Literals([file.Path])} ({format}, USE_TMP_FILE false)", cancellationToken));
    }

    [SuppressMessage("Security", "CA2100", Justification = "no input")]
    private List<QueryColumn> Columns()
    {
        using var command = connection.CreateCommand();
        command.CommandText = $"SELECT column_name, column_type FROM (DESCRIBE {Result})";
        using var reader = command.ExecuteReader();
        var columns = new List<QueryColumn>();
        while (reader.Read()) columns.Add(new(reader.GetString(0), reader.GetString(1)));
        return columns;
    }

    [SuppressMessage("Security", "CA2100", Justification = "the SQL of a query is what is asked for, once it is known to be a SELECT; the rest is quoted")]
    private long Execute(string sql, CancellationToken cancellationToken = default)
    {
        using var command = connection.CreateCommand();
        command.CommandText = sql;
        using var interrupting = cancellationToken.Register(command.Cancel);
        return command.ExecuteNonQuery();
    }

    /// <param name="offset">Characters that stand before the query in the statement that failed.</param>
    private QueryAnswer.Refused Refuse(DuckDBException error, string sql, int offset)
    {
        var json = error.Message.IndexOf('{', StringComparison.Ordinal);
        if (json < 0) return new(error.Message);
        var fault = JsonElement.Parse(error.Message.AsSpan(json));
        var type = fault.GetProperty("exception_type").GetString();
        if (type == "Out of Memory")
            return new(string.Create(CultureInfo.InvariantCulture, $"the query needs more memory than {memoryBytes / 1_000_000} MB; ask for fewer rows or columns"));
        var place = fault.TryGetProperty("position", out var position) && int.TryParse(position.GetString(), CultureInfo.InvariantCulture, out var at) ? at - offset : -1;
        return QuerySyntax.At(sql, place, $"{type}: {fault.GetProperty("exception_message").GetString()}");
    }

    private static string Identifier(string name) => $"\"{name.Replace("\"", "\"\"", StringComparison.Ordinal)}\"";

    private static string Literals(IEnumerable<string> texts) =>
        string.Join(", ", texts.Select(text => $"'{text.Replace("'", "''", StringComparison.Ordinal)}'"));

    private static string EscapeGlob(string path) => string.Concat(path.Select(c => c is '*' or '?' or '[' ? $"[{c}]" : $"{c}"));

    // Texts are matched first, so that what they say stays.
    [GeneratedRegex("""
        "(?:[^"\\]|\\.)*"|-?(?:NaN|Infinity)
        """, RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 10_000)]
    private static partial Regex NotJson();
}
