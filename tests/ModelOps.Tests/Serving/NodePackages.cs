using ModelOps.Tests.EndToEnd;

namespace ModelOps.Tests.Serving;

/// <summary>The packages of a folder, restored on first use.</summary>
internal static class NodePackages
{
    private static readonly SemaphoreSlim restoring = new(1);

    public static async Task RestoreAsync(string folder, string package, CancellationToken cancel)
    {
        await restoring.WaitAsync(cancel);
        try
        {
            if (!File.Exists(Path.Combine(folder, "node_modules", package, "package.json")))
                await ProcessRun.ExpectSuccessAsync("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund"], folder, [], cancel);
        }
        finally
        {
            restoring.Release();
        }
    }
}
