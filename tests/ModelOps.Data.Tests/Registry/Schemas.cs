using System.Diagnostics;
using System.Text.Json.Nodes;

namespace ModelOps.Data.Tests.Registry;

/// <summary>Ajv, the reference validator of JSON Schema, under tests/oracles; restored on first use.</summary>
internal static class Schemas
{
    private static readonly TimeSpan timeout = TimeSpan.FromMinutes(3);
    private static readonly SemaphoreSlim restoring = new(1);

    /// <param name="schemas">All that refer to each other.</param>
    /// <param name="id">The one to validate against.</param>
    public static Task AssertValidAsync(JsonNode?[] schemas, string id, JsonNode document, CancellationToken cancellationToken)
    {
        var question = new JsonObject
        {
            ["schemas"] = new JsonArray([.. schemas.Select(schema => schema!.DeepClone())]),
            ["id"] = id,
            ["document"] = document.DeepClone(),
        };
        return AssertValidAsync(question, cancellationToken);
    }

    /// <summary>Against the official CycloneDX 1.6 schema.</summary>
    public static Task AssertCycloneDxAsync(JsonNode document, CancellationToken cancellationToken) =>
        AssertValidAsync(new JsonObject { ["cyclonedx"] = "1.6", ["document"] = document.DeepClone() }, cancellationToken);

    private static async Task AssertValidAsync(JsonObject question, CancellationToken cancellationToken)
    {
        await RestoreAsync(cancellationToken);
        var answer = JsonNode.Parse(await RunAsync("node", ["validate-json.mjs"], question.ToJsonString(), cancellationToken))!;
        Assert.True(answer["errors"] is JsonArray { Count: 0 }, $"{answer["errors"]}");
    }

    private static async Task RestoreAsync(CancellationToken cancellationToken)
    {
        if (!IsInstalled("node") || !IsInstalled("npm"))
        {
            const string Reason = "Node is not installed; the schema validator needs it: apt-get install nodejs npm.";
            Assert.SkipUnless(Environment.GetEnvironmentVariable("CI") == "true", Reason);
            Assert.Fail(Reason);
        }
        await restoring.WaitAsync(cancellationToken);
        try
        {
            if (!File.Exists(Path.Combine(Folder(), "node_modules", "@cyclonedx", "cyclonedx-library", "package.json")))
                await RunAsync("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund"], "", cancellationToken);
        }
        finally
        {
            restoring.Release();
        }
    }

    private static string Folder()
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            if (File.Exists(Path.Combine(folder.FullName, "ModelOps.slnx")))
                return Path.Combine(folder.FullName, "tests", "oracles");
        }
        throw new InvalidOperationException($"No ModelOps.slnx above {AppContext.BaseDirectory}.");
    }

    private static bool IsInstalled(string command) =>
        (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator).Any(path => File.Exists(Path.Combine(path, command)));

    private static async Task<string> RunAsync(string command, string[] arguments, string input, CancellationToken cancellationToken)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(timeout);
        var start = new ProcessStartInfo(command, arguments)
        {
            WorkingDirectory = Folder(),
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            UseShellExecute = false,
        };
        using var process = Process.Start(start)!;
        try
        {
            var (output, errors) = (process.StandardOutput.ReadToEndAsync(limit.Token), process.StandardError.ReadToEndAsync(limit.Token));
            await process.StandardInput.WriteAsync(input.AsMemory(), limit.Token);
            process.StandardInput.Close();
            await process.WaitForExitAsync(limit.Token);
            Assert.True(process.ExitCode == 0, $"{command} {string.Join(' ', arguments)} failed: {await errors}");
            return await output;
        }
        finally
        {
            process.Kill(entireProcessTree: true);
        }
    }
}
