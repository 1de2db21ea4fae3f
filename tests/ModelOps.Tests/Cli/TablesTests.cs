using System.Diagnostics;
using System.Text.Json;
using ModelOps.Cli;
using ModelOps.Data.Tests.Storage;
using ModelOps.Storage;
using ModelOps.Tests.EndToEnd;
using ModelOps.Tests.Repository;

namespace ModelOps.Tests.Cli;

/// <summary>A table that Spark wrote (ids 0 to 9, then 10 to 19 with a second column), read by the command line without a server.</summary>
public sealed class TablesTests(MotoServer moto) : IClassFixture<MotoServer>, IAsyncLifetime
{
    private const string Name = "time-travel-schema-changes-b";
    private readonly DirectoryInfo folder = Directory.CreateTempSubdirectory("modelops-test-");

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    private string Table => Path.Combine(folder.FullName, Name, "delta");

    public async ValueTask InitializeAsync()
    {
        var archive = SharedData($"delta-golden/{Name}.tar.zst");
        using var tar = Process.Start(new ProcessStartInfo("tar", ["--zstd", "-xf", archive, "-C", folder.FullName]) { UseShellExecute = false, RedirectStandardError = true })!;
        var errors = await tar.StandardError.ReadToEndAsync(Cancel);
        await tar.WaitForExitAsync(Cancel);
        Assert.SkipUnless(tar.ExitCode == 0, $"tar cannot unpack zstd here: {errors}");
    }

    public ValueTask DisposeAsync()
    {
        folder.Delete(recursive: true);
        return ValueTask.CompletedTask;
    }

    [Fact]
    public async Task Show_OfAVersion_IsItsColumnsAndSize()
    {
        using var latest = JsonDocument.Parse(await OutAsync("tables", "show", Table, "--json"));
        Assert.Equal(1, latest.RootElement.GetProperty("version").GetInt64());
        Assert.Equal(["id", "part"], latest.RootElement.GetProperty("columns").EnumerateArray().Select(column => column.GetProperty("name").GetString()));
        var first = await OutAsync("tables", "show", $"{Table}@0");
        Assert.StartsWith("Version 0 of ", first, StringComparison.Ordinal);
        Assert.Contains("long", first, StringComparison.Ordinal);
        Assert.DoesNotContain("part", first, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Rows_AsLinesTableAndFile_AreTheTables()
    {
        List<string> Entries() => [.. Directory.EnumerateFileSystemEntries(Path.Combine(folder.FullName, Name), "*", SearchOption.AllDirectories).Order(StringComparer.Ordinal)];
        var before = Entries();
        var lines = (await OutAsync("tables", "rows", Table, "--json")).Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal(Enumerable.Range(0, 20), lines.Select(line => Id(line)).Order());
        Assert.Equal(10, (await OutAsync("tables", "rows", $"{Table}@0", "--json")).Split('\n', StringSplitOptions.RemoveEmptyEntries).Length);

        var some = await OutAsync("tables", "rows", Table, "--where", "id >= 17 AND id < 19", "--columns", "id");
        Assert.Equal(["id", "17", "18"], some.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => line.Trim()));
        Assert.Equal(6, (await OutAsync("tables", "rows", Table, "--limit", "5")).Split('\n', StringSplitOptions.RemoveEmptyEntries).Length);
        Assert.Equal("No rows.\n", await OutAsync("tables", "rows", Table, "--where", "id < 0"));

        var file = Path.Combine(folder.FullName, "out.parquet");
        Assert.Equal($"Wrote 20 rows to {file}.\n", await OutAsync("tables", "rows", Table, "--out", file));
        Assert.Equal("PAR1"u8, (await File.ReadAllBytesAsync(file, Cancel)).AsSpan()[^4..]);
        Assert.Equal(before, Entries()); // nothing was left in or beside the table
    }

    [Fact]
    public async Task History_OfATable_IsItsCommits()
    {
        using var history = JsonDocument.Parse(await OutAsync("tables", "history", Table, "--json"));
        var items = history.RootElement.GetProperty("items").EnumerateArray().ToList();
        Assert.Equal([1L, 0], items.Select(commit => commit.GetProperty("version").GetInt64()));
        Assert.Equal("WRITE", items[0].GetProperty("operation").GetString());
        Assert.Equal("Append", items[0].GetProperty("parameters").GetProperty("mode").GetString());
        Assert.Contains("WRITE", await OutAsync("tables", "history", Table), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(ExitCodes.NotFound, "there is no Delta table at", "show", "{0}-not")]
    [InlineData(ExitCodes.Failed, "has no version 7; the latest is 1", "show", "{0}@7")]
    [InlineData(ExitCodes.Failed, "the log begins with version 0, which is later", "rows", "{0}@1990-01-01")]
    [InlineData(ExitCodes.Usage, "there is no column x; there are id, part", "rows", "{0}", "--where", "x = 1")]
    [InlineData(ExitCodes.Usage, "there is no column y; there are id, part", "rows", "{0}", "--columns", "id,y")]
    [InlineData(ExitCodes.Usage, "--limit must be at least 1", "rows", "{0}", "--limit", "0")]
    [InlineData(ExitCodes.Usage, "has no path in the bucket", "show", "s3://bucket")]
    public async Task Tables_WhatIsNotThere_IsSaidWithItsExitCode(int code, string reason, params string[] arguments)
    {
        var run = await RunAsync(["tables", .. arguments.Select(argument => argument.Replace("{0}", Table, StringComparison.Ordinal))]);
        Assert.Equal(code, run.Code);
        Assert.Contains(reason, run.Error, StringComparison.Ordinal);
        Assert.Empty(run.Out);
    }

    [Fact]
    public async Task Rows_OfABucket_AreTheTables()
    {
        await moto.ResetAsync(Cancel);
        using (var http = new HttpClient())
        using (var made = await http.PutAsync(new Uri($"{moto.Url}/lake"), content: null, Cancel)) made.EnsureSuccessStatusCode();
        var options = new ObjectStoreOptions { Kind = ObjectStoreKind.S3, Endpoint = moto.Url, Bucket = "lake", AccessKey = "key", SecretKey = "secret" };
        var (store, client) = ObjectStores.OpenBucket(options);
        using (client)
            foreach (var file in Directory.EnumerateFiles(Table, "*", SearchOption.AllDirectories).Where(file => !file.EndsWith(".crc", StringComparison.Ordinal)))
                await using (var content = File.OpenRead(file)) await store.PutAsync($"raw/{Path.GetRelativePath(Table, file)}", content, PutMode.IfAbsent, Cancel);

        var settings = options.ToEnvironment().Where(variable => !variable.Key.EndsWith("BUCKET", StringComparison.Ordinal)).Select(variable => (variable.Key, variable.Value)).ToArray();
        var program = Path.GetFullPath("../../ModelOps.Cli/release/ModelOps.Cli", AppContext.BaseDirectory);
        var rows = await ProcessRun.ExpectSuccessAsync(program, ["tables", "rows", "s3://lake/raw", "--json", "--where", "id = 12", "--columns", "id"], folder.FullName, settings, Cancel);
        Assert.Equal("""{"id":12}""", rows.Trim());
    }

    private static int Id(string line)
    {
        using var row = JsonDocument.Parse(line);
        return row.RootElement.GetProperty("id").GetInt32();
    }

    private static async Task<string> OutAsync(params string[] arguments)
    {
        var run = await RunAsync(arguments);
        Assert.True(run.Code == ExitCodes.Done, run.Error);
        return run.Out;
    }

    private static Task<CliRun> RunAsync(string[] arguments) => CliRun.Of(arguments, programFolder: AppContext.BaseDirectory, cancellationToken: Cancel);

    private static string SharedData(string path)
    {
        for (var place = new DirectoryInfo(RepositoryRoot.Path); place is not null; place = place.Parent)
            if (Path.Combine(place.FullName, "shared", "data", path) is var file && File.Exists(file)) return file;
        Assert.Skip($"shared/data/{path} is not on this machine");
        return "";
    }
}
