using System.CommandLine;
using ModelOps.Cli.Artifacts;
using ModelOps.Cli.Jobs;
using ModelOps.Cli.Output;
using ModelOps.Client;
using Spectre.Console;

namespace ModelOps.Cli.Datasets;

internal static class DatasetsCommand
{
    public static Command Create(CommandFactory cli) => CommandFactory.Group(
        "datasets", "Datasets and their versions.", [CreateVersion(cli), Preview(cli), List(cli), Show(cli), QueryCommand.Create(cli), Diff(cli), History(cli)]);

    private static Command CreateVersion(CommandFactory cli)
    {
        var name = new Argument<string>("name") { Description = "Name of the dataset; a file for an existing one makes its next version" };
        var file = SourceFile();
        var (options, priority) = (new IngestionFlags(), JobRun.PriorityOption());
        return cli.Command(
            "create", "Uploads a file, validates and splits its rows, and waits for the version.",
            [
                "modelops datasets create support ./support.jsonl",
                "modelops datasets create support ./tickets.csv --map body=prompt --map reply=completion --max-bad 1% --pii mask",
            ],
            [name, file, .. options.All, priority],
            async (invocation, cancellationToken) =>
            {
                RequireFile(invocation.Get(file));
                var job = await ProgressView.RunAsync(invocation, "Upload", progress => invocation.Client.Datasets.CreateVersionAsync(
                    invocation.Get(name), invocation.Get(file), JobRun.PriorityOf(invocation, priority), options.Read(invocation),
                    ArtifactPush.Bytes(progress), cancellationToken));
                job = await JobWatch.ToEndAsync(invocation, invocation.Client, job, $"Ingest {invocation.Get(name)}", cancellationToken);
                invocation.Write(job, JsonOutput.Wire.Job, _ => JobViews.ShowResult(invocation, job));
                return ExitCodes.Done;
            });
    }

    private static Command Preview(CommandFactory cli)
    {
        var (file, options) = (SourceFile(), new IngestionFlags());
        return cli.Command(
            "preview", "Uploads a file and shows what 'datasets create' with the same flags would make of its first rows; nothing is made.",
            ["modelops datasets preview ./support.jsonl", "modelops datasets preview ./tickets.csv --map body=prompt --map reply=completion"],
            [file, .. options.All],
            async (invocation, cancellationToken) =>
            {
                RequireFile(invocation.Get(file));
                var preview = await ProgressView.RunAsync(invocation, "Upload", progress => invocation.Client.Datasets.PreviewAsync(
                    invocation.Get(file), options.Read(invocation), ArtifactPush.Bytes(progress), cancellationToken));
                invocation.Write(preview, JsonOutput.Wire.DatasetPreview, _ => ShowPreview(invocation, preview));
                return preview.Errors.Count == 0 ? ExitCodes.Done : ExitCodes.Failed;
            });
    }

    private static Argument<string> SourceFile() =>
        new("file") { Description = "JSONL, JSON, CSV, TSV, Parquet or text file, as it is or packed with gzip or zstd" };

    private static Command List(CommandFactory cli) => cli.Command(
        "list", "Lists the datasets.", ["modelops datasets list"], [],
        async (invocation, cancellationToken) =>
        {
            var datasets = await invocation.Client.Datasets.ListAsync(cancellationToken);
            invocation.Write(new Page<Dataset>(datasets), JsonOutput.Wire.PageDataset, _ => ShowList(invocation, datasets));
            return ExitCodes.Done;
        });

    private static Command Show(CommandFactory cli)
    {
        var reference = new Argument<string>("dataset") { Description = "Dataset, name or name@version" };
        return cli.Command(
            "show", "Shows a dataset's versions, and what became of the file of the newest or the named one.",
            ["modelops datasets show support", "modelops datasets show support@1"], [reference],
            async (invocation, cancellationToken) =>
            {
                var (name, version) = Parse(invocation.Get(reference));
                var dataset = await invocation.Client.Datasets.GetAsync(name, version, cancellationToken);
                invocation.Write(dataset, JsonOutput.Wire.Dataset, _ => ShowVersions(invocation, dataset));
                return ExitCodes.Done;
            });
    }

    private static Command Diff(CommandFactory cli)
    {
        var name = new Argument<string>("dataset") { Description = "Name of the dataset" };
        var from = new Argument<string?>("from") { Description = "Version to compare with [default: the one before]", Arity = ArgumentArity.ZeroOrOne };
        var to = new Argument<string?>("to") { Description = "Version that is compared [default: the newest]", Arity = ArgumentArity.ZeroOrOne };
        var (limit, cursor) = (QueryCommand.Limit(byDefault: 100), QueryCommand.Cursor());
        return cli.Command(
            "diff", "Lists the rows that one version has and another has not.",
            ["modelops datasets diff support 1 2", "modelops datasets diff support"], [name, from, to, limit, cursor],
            async (invocation, cancellationToken) =>
            {
                var diff = await invocation.Client.Datasets.DiffAsync(
                    invocation.Get(name), invocation.Get(from), invocation.Get(to), invocation.Get(limit), invocation.Get(cursor), cancellationToken);
                invocation.Write(diff, JsonOutput.Wire.DatasetDiff, _ => ShowDiff(invocation, diff));
                return ExitCodes.Done;
            });
    }

    private static Command History(CommandFactory cli)
    {
        var name = new Argument<string>("dataset") { Description = "Name of the dataset" };
        return cli.Command(
            "history", "Tells how a dataset's versions came to be, newest first.", ["modelops datasets history support"], [name],
            async (invocation, cancellationToken) =>
            {
                var history = await invocation.Client.Datasets.HistoryAsync(invocation.Get(name), cancellationToken);
                invocation.Write(new Page<DatasetHistoryEntry>(history), JsonOutput.Wire.PageDatasetHistoryEntry, _ => ShowHistory(invocation, history));
                return ExitCodes.Done;
            });
    }

    /// <param name="reference"><c>name</c> or <c>name@version</c>.</param>
    public static (string Name, string? Version) Parse(string reference) =>
        reference.Split('@', 2) is [var name, var version] ? (name, version) : (reference, null);

    /// <exception cref="FileNotFoundException">It does not exist.</exception>
    public static void RequireFile(string path)
    {
        if (!File.Exists(path))
        {
            throw new FileNotFoundException($"The file {Path.GetFullPath(path)} does not exist.");
        }
    }

    private static void ShowPreview(Invocation invocation, DatasetPreview preview)
    {
        foreach (var line in IngestionView.Lines(preview.Report)) invocation.Screen.WriteLine(line);
        if (!preview.Whole) invocation.Screen.WriteLine($"There are more rows: these are of the first {preview.Report.Rows.Read}.");
        if (preview.Rows is [var first, ..])
        {
            QueryCommand.Show(invocation, [.. first.EnumerateObject().Select(column => column.Name).Where(name => name != "id")], preview.Rows, next: null);
        }
        if (preview.Rejected.Count > 0)
        {
            var table = invocation.Table("line", "rejected for", "row");
            foreach (var row in preview.Rejected) table.AddTextRow($"{row.Line}", row.Detail is null ? row.Reason : $"{row.Reason} ({row.Detail})", row.Raw.ReplaceLineEndings(" "));
            invocation.Screen.Write(table);
        }
        foreach (var error in preview.Errors) invocation.Screen.WriteLine($"The file would be refused: {error}");
    }

    private static void ShowList(Invocation invocation, IReadOnlyList<Dataset> datasets)
    {
        if (datasets.Count == 0)
        {
            invocation.Screen.WriteLine("No dataset yet. Make one: modelops datasets create NAME FILE");
            return;
        }
        var table = invocation.Table("dataset", "versions", "newest", "rows", "created");
        foreach (var dataset in datasets)
        {
            var newest = dataset.Versions[^1];
            table.AddTextRow(dataset.Name, $"{dataset.Versions.Count}", newest.Version, Human.Counts(newest.Rows), Human.Time(newest.CreatedAt));
        }
        invocation.Screen.Write(table);
    }

    private static void ShowVersions(Invocation invocation, Dataset dataset)
    {
        var table = invocation.Table("version", "task", "rows", "rejected", "created", "artifact", "source sha256");
        foreach (var version in dataset.Versions)
        {
            table.AddTextRow(
                version.Version, version.Task, Human.Counts(version.Rows), $"{version.RejectedRows}", Human.Time(version.CreatedAt),
                version.Artifact, version.SourceSha256);
        }
        invocation.Screen.Write(table);
        if (dataset.Versions[^1] is { Report: { } report } newest)
        {
            invocation.Screen.WriteLine($"{dataset.Name}@{newest.Version}");
            foreach (var line in IngestionView.Lines(report))
            {
                invocation.Screen.WriteLine(line);
            }
        }
    }

    private static void ShowDiff(Invocation invocation, DatasetDiff diff)
    {
        invocation.Screen.WriteLine($"{diff.Dataset} {diff.From} → {diff.To}");
        var table = invocation.Table("split", "added", "removed", "moved");
        foreach (var (split, counts) in diff.Splits)
        {
            table.AddTextRow(split, $"{counts.Added}", $"{counts.Removed}", $"{counts.Moved}");
        }
        invocation.Screen.Write(table);
        if (diff.Rows is [var first, ..])
        {
            QueryCommand.Show(invocation, [.. first.EnumerateObject().Select(column => column.Name)], diff.Rows, diff.Next);
        }
    }

    private static void ShowHistory(Invocation invocation, IReadOnlyList<DatasetHistoryEntry> history)
    {
        var table = invocation.Table("version", "created", "by", "task", "rows", "rejected", "file", "source sha256");
        foreach (var entry in history)
        {
            table.AddTextRow(
                entry.Version, Human.Time(entry.CreatedAt), entry.CreatedBy, entry.Task, Human.Counts(entry.Rows), $"{entry.RejectedRows}", entry.FileName,
                entry.SourceSha256);
        }
        invocation.Screen.Write(table);
    }
}
