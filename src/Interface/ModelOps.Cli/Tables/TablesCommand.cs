using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using ModelOps.Cli.Output;
using Spectre.Console;

namespace ModelOps.Cli.Tables;

internal static class TablesCommand
{
    private const int DefaultRows = 20;

    public static Command Create(CommandFactory cli) => CommandFactory.Group(
        "tables", "Delta tables in a folder or a bucket, whoever wrote them; no server is needed.", [Show(cli), Rows(cli), History(cli)]);

    private static Argument<string> Table() => new("table")
    {
        Description = "A folder, or s3://bucket/path with the settings MODELOPS__OBJECTS__ENDPOINT, __REGION, __ACCESS_KEY and __SECRET_KEY; "
            + "@VERSION or @TIME behind it reads the table as it was",
    };

    private static Command Show(CommandFactory cli)
    {
        var table = Table();
        return cli.Command(
            "show", "Shows a table's columns, size, protocol and properties.",
            ["modelops tables show ./sales", "modelops tables show s3://lake/sales@12 --json"], [table],
            async (invocation, cancellationToken) =>
            {
                var summary = await ReadAsync(invocation, ["show", Full(invocation.Get(table))], CliJson.Default.TableSummary, cancellationToken);
                invocation.Write(summary, JsonOutput.Documents.TableSummary, screen => ShowSummary(invocation, screen, summary));
                return ExitCodes.Done;
            });
    }

    private static Command Rows(CommandFactory cli)
    {
        var table = Table();
        var columns = new Option<string?>("--columns") { Description = "Only these columns, in this order", HelpName = "A,B" };
        var where = new Option<string?>("--where") { Description = "Only rows for which this is true, like \"price > 10 AND city IN ('Rome', 'Oslo')\"", HelpName = "CONDITION" };
        var limit = new Option<int?>("--limit") { Description = $"At most so many rows [default: {DefaultRows} in a table for people, otherwise all]", HelpName = "N" };
        var file = new Option<string?>("--out") { Description = "Write the rows to this Parquet file", HelpName = "FILE" };
        limit.Validators.Add(result =>
        {
            if (result.GetValueOrDefault<int?>() < 1) result.AddError("--limit must be at least 1.");
        });
        return cli.Command(
            "rows", "Prints a table's rows; with --json one JSON object a line.",
            [
                "modelops tables rows ./sales --where \"amount >= 100\" --columns id,amount",
                "modelops tables rows ./sales@2026-01-31 --json",
                "modelops tables rows s3://lake/sales --out sales.parquet",
            ],
            [table, columns, where, limit, file],
            async (invocation, cancellationToken) =>
            {
                List<string> request = ["rows", Full(invocation.Get(table))];
                void Add(string name, string? value)
                {
                    if (value is not null) request.AddRange(name, value);
                }
                var isForPeople = !invocation.Json && invocation.Get(file) is null;
                Add("--columns", invocation.Get(columns));
                Add("--where", invocation.Get(where));
                Add("--limit", (invocation.Get(limit) ?? (isForPeople ? DefaultRows : (int?)null))?.ToString(CultureInfo.InvariantCulture));
                Add("--out", invocation.Get(file) is { } path ? Path.GetFullPath(path) : null);
                var lines = TableReader.ReadLinesAsync(invocation, request, cancellationToken);
                if (isForPeople) await ShowRowsAsync(invocation, lines, cancellationToken);
                else if (invocation.Json) await foreach (var line in lines.WithCancellation(cancellationToken)) await invocation.Host.Out.WriteLineAsync(line);
                else ShowWritten(invocation, (await lines.ToListAsync(cancellationToken))[0], invocation.Get(file)!);
                return ExitCodes.Done;
            });
    }

    private static Command History(CommandFactory cli)
    {
        var table = Table();
        return cli.Command(
            "history", "Lists a table's commits, latest first.",
            ["modelops tables history ./sales", "modelops tables history s3://lake/sales --json"], [table],
            async (invocation, cancellationToken) =>
            {
                var history = await ReadAsync(invocation, ["history", Full(invocation.Get(table))], CliJson.Default.TableHistory, cancellationToken);
                invocation.Write(history, JsonOutput.Documents.TableHistory, screen =>
                {
                    var rows = invocation.Table("version", "at", "operation", "user", "job", "metrics");
                    foreach (var commit in history.Items)
                        rows.AddTextRow($"{commit.Version}", Human.Time(commit.Timestamp), commit.Operation ?? "", commit.User ?? "", commit.Job ?? "", Texts(commit.Metrics));
                    screen.Write(rows);
                });
                return ExitCodes.Done;
            });
    }

    /// <summary>The reader may have another working folder.</summary>
    private static string Full(string table) => table.StartsWith("s3://", StringComparison.Ordinal) ? table : Path.GetFullPath(table);

    private static async Task<T> ReadAsync<T>(Invocation invocation, string[] request, JsonTypeInfo<T> type, CancellationToken cancellationToken)
        where T : class
    {
        var lines = await TableReader.ReadLinesAsync(invocation, request, cancellationToken).ToListAsync(cancellationToken);
        return JsonSerializer.Deserialize(string.Concat(lines), type) ?? throw new InvalidDataException("The table reader wrote no document.");
    }

    private static void ShowSummary(Invocation invocation, IAnsiConsole screen, TableSummary summary)
    {
        screen.WriteLine($"Version {summary.Version} of {Human.Time(summary.Timestamp)}: {(summary.Rows is { } rows ? $"{rows} rows in " : "")}{summary.Files} files, {Human.Bytes(summary.Bytes)}");
        screen.WriteLine($"Protocol: reader {summary.MinReaderVersion}, writer {summary.MinWriterVersion}{(summary.Features.Count > 0 ? $", {string.Join(", ", summary.Features)}" : "")}");
        if (summary.PartitionColumns.Count > 0) screen.WriteLine($"Partitioned by {string.Join(", ", summary.PartitionColumns)}");
        foreach (var (name, value) in summary.Properties) screen.WriteLine($"{name} = {value}");
        var table = invocation.Table("column", "null", "type");
        foreach (var column in summary.Columns) table.AddTextRow(column.Name, column.Nullable ? "yes" : "no", column.Type);
        screen.Write(table);
    }

    private static async Task ShowRowsAsync(Invocation invocation, IAsyncEnumerable<string> lines, CancellationToken cancellationToken)
    {
        Table? table = null;
        await foreach (var line in lines.WithCancellation(cancellationToken))
        {
            using var row = JsonDocument.Parse(line);
            table ??= invocation.Table([.. row.RootElement.EnumerateObject().Select(value => value.Name)]);
            table.AddTextRow([.. row.RootElement.EnumerateObject().Select(value => value.Value.ValueKind == JsonValueKind.Null ? "" : value.Value.ToString())]);
        }
        if (table is null) invocation.Screen.WriteLine("No rows.");
        else invocation.Screen.Write(table);
    }

    private static void ShowWritten(Invocation invocation, string document, string file)
    {
        using var written = JsonDocument.Parse(document);
        invocation.Screen.WriteLine($"Wrote {written.RootElement.GetProperty("rows").GetInt64()} rows to {file}.");
    }

    private static string Texts(IReadOnlyDictionary<string, string>? texts) =>
        string.Join(", ", (texts ?? new Dictionary<string, string>(StringComparer.Ordinal)).Select(entry => $"{entry.Key} {entry.Value}"));
}
