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
        "datasets", "Datasets and their versions.", [CreateVersion(cli), List(cli), Show(cli)]);

    private static Command CreateVersion(CommandFactory cli)
    {
        var name = new Argument<string>("name") { Description = "Name of the dataset; a file for an existing one makes its next version" };
        var file = new Argument<string>("file") { Description = "JSONL, JSON, CSV, TSV, Parquet or text file, as it is or packed with gzip or zstd" };
        var options = new IngestionFlags();
        return cli.Command(
            "create", "Uploads a file, validates and splits its rows, and waits for the version.",
            [
                "modelops datasets create support ./support.jsonl",
                "modelops datasets create support ./tickets.csv --map body=prompt --map reply=completion --max-bad 1% --pii mask",
            ],
            [name, file, .. options.All],
            async (invocation, cancellationToken) =>
            {
                RequireFile(invocation.Get(file));
                var job = await ProgressView.RunAsync(invocation, "Upload", progress => invocation.Client.Datasets.CreateVersionAsync(
                    invocation.Get(name), invocation.Get(file), options.Read(invocation), ArtifactPush.Bytes(progress), cancellationToken));
                job = await JobWatch.ToEndAsync(invocation, invocation.Client, job, $"Ingest {invocation.Get(name)}", cancellationToken);
                invocation.Write(job, JsonOutput.Wire.Job, _ => JobViews.ShowResult(invocation, job));
                return ExitCodes.Done;
            });
    }

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
                var (name, version) = invocation.Get(reference).Split('@', 2) is [var before, var after] ? (before, after) : (invocation.Get(reference), null);
                var dataset = await invocation.Client.Datasets.GetAsync(name, version, cancellationToken);
                invocation.Write(dataset, JsonOutput.Wire.Dataset, _ => ShowVersions(invocation, dataset));
                return ExitCodes.Done;
            });
    }

    /// <exception cref="FileNotFoundException">It does not exist.</exception>
    public static void RequireFile(string path)
    {
        if (!File.Exists(path))
        {
            throw new FileNotFoundException($"The file {Path.GetFullPath(path)} does not exist.");
        }
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
}
