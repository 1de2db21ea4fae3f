using System.CommandLine;
using System.Text.Json;
using ModelOps.Cli.Output;
using ModelOps.Client;
using Spectre.Console;

namespace ModelOps.Cli.Datasets;

internal static class QueryCommand
{
    public static Option<string?> Cursor() =>
        new("--cursor") { Description = "Where the page before said that the next one begins", HelpName = "CURSOR" };

    public static Option<int?> Limit(int byDefault)
    {
        var limit = new Option<int?>("--limit") { Description = $"Most rows of the page [default: {byDefault}]", HelpName = "N" };
        limit.Validators.Add(result =>
        {
            if (result.Tokens is [var token] && int.TryParse(token.Value, out var rows) && rows <= 0)
            {
                result.AddError($"--limit '{token.Value}' must be above 0.");
            }
        });
        return limit;
    }

    public static Command Create(CommandFactory cli)
    {
        var reference = new Argument<string>("dataset") { Description = "Dataset, name or name@version" };
        var sql = new Argument<string>("sql")
        {
            Description = "One SELECT in DuckDB's dialect, on train, validation, test, quarantine, and on those of others: other.train, \"other@2\".train",
        };
        var (limit, cursor) = (Limit(byDefault: 1000), Cursor());
        var output = new Option<string?>("--out") { Description = "All rows into a file, .csv or .parquet", HelpName = "FILE" };
        output.Validators.Add(result =>
        {
            if (result.Tokens is [var token] && FormatOf(token.Value) is null)
            {
                result.AddError($"--out '{token.Value}' must end in .csv or .parquet.");
            }
        });
        return cli.Command(
            "query", "Answers a SQL query on the rows of a dataset: read-only, within the server's limits of time and memory.",
            [
                "modelops datasets query support \"SELECT len(messages) AS turns, count(*) FROM train GROUP BY 1 ORDER BY 1\"",
                "modelops datasets query support@2 \"SELECT reason, count(*) FROM quarantine GROUP BY ALL\" --json",
                "modelops datasets query support \"SELECT * FROM train SEMI JOIN other.train USING (id)\" --out both.parquet",
            ],
            [reference, sql, limit, cursor, output],
            async (invocation, cancellationToken) =>
            {
                var (name, version) = DatasetsCommand.Parse(invocation.Get(reference));
                var query = new QueryDataset { Sql = invocation.Get(sql), Version = version, Limit = invocation.Get(limit), Cursor = invocation.Get(cursor) };
                if (invocation.Get(output) is { } path)
                {
                    if (invocation.Json)
                    {
                        throw UsageException.Of("--out writes the rows into a file: it does not go with --json.");
                    }
                    await SaveAsync(invocation, name, query with { Format = FormatOf(path) }, path, cancellationToken);
                    return ExitCodes.Done;
                }
                var result = await invocation.Client.Datasets.QueryAsync(name, query, cancellationToken);
                invocation.Write(result, JsonOutput.Wire.QueryResult, _ => Show(invocation, [.. result.Columns.Select(column => column.Name)], result.Rows, result.Next));
                return ExitCodes.Done;
            });
    }

    /// <summary>Rows as a table: texts as they are, what has structure as JSON, each on one line.</summary>
    public static void Show(Invocation invocation, string[] columns, IReadOnlyList<JsonElement> rows, string? next)
    {
        const int Shown = 200;
        var table = invocation.Table(columns);
        foreach (var row in rows)
        {
            table.AddTextRow([.. columns.Select(column => row.TryGetProperty(column, out var value) ? Cell(value) : "")]);
        }
        invocation.Screen.Write(table);
        if (next is not null)
        {
            invocation.Status.WriteLine($"There are more rows; the next page: --cursor {next}");
        }

        static string Cell(JsonElement value)
        {
            var text = value.ValueKind switch
            {
                JsonValueKind.String => value.GetString()!,
                JsonValueKind.Null => "",
                _ => value.GetRawText(),
            };
            text = text.ReplaceLineEndings(" ");
            return text.Length <= Shown ? text : $"{text[..Shown]}…";
        }
    }

    private static string? FormatOf(string path) => Path.GetExtension(path) switch
    {
        ".csv" => "csv",
        ".parquet" => "parquet",
        _ => null,
    };

    /// <summary>Whole or not at all.</summary>
    private static async Task SaveAsync(Invocation invocation, string name, QueryDataset query, string path, CancellationToken cancellationToken)
    {
        var part = $"{path}.part";
        try
        {
            await using (var target = File.Create(part))
            {
                await invocation.Client.Datasets.QueryAsync(name, query, target, cancellationToken);
            }
            File.Move(part, path, overwrite: true);
        }
        finally
        {
            File.Delete(part);
        }
        invocation.Screen.WriteLine($"{Human.Bytes(new FileInfo(path).Length)} are in {path}");
    }
}
