using System.Diagnostics;
using System.Runtime.InteropServices;

namespace ModelOps.Data.Tests.Datasets;

/// <summary>An ingestion in a process of its own, which can be killed at a step and has a folder of its own for what is temporary.</summary>
internal static class IngestionProcess
{
    private const int Never = -1;
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(1);

    /// <param name="root">Of the store.</param>
    /// <param name="step">null: it is not killed.</param>
    /// <param name="heap">Bytes that the managed heap may have; null: as many as there are.</param>
    /// <returns>Steps that there were; null: it was killed.</returns>
    public static async Task<int?> RunAsync(string root, string file, string job, string temporary, int? step = null, long? heap = null)
    {
        var cancel = TestContext.Current.CancellationToken;
        var program = Path.Combine(AppContext.BaseDirectory, "../../ModelOps.ObjectWriter/release/ModelOps.ObjectWriter");
        var start = new ProcessStartInfo(program, ["ingest", root, file, job, $"{step ?? Never}"])
        {
            UseShellExecute = false,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        start.Environment["DOTNET_ROOT"] = Path.GetFullPath(Path.Combine(RuntimeEnvironment.GetRuntimeDirectory(), "../../.."));
        start.Environment["TMPDIR"] = temporary;
        if (heap is { } bytes) start.Environment["DOTNET_GCHeapHardLimit"] = $"{bytes:x}";
        using var child = Process.Start(start)!;
        var (said, error) = (child.StandardOutput.ReadToEndAsync(cancel), child.StandardError.ReadToEndAsync(cancel));
        await child.WaitForExitAsync(cancel).WaitAsync(Patience, cancel);
        Assert.True(child.ExitCode is 0 or 128 + 9, $"step {step}: exit code {child.ExitCode}: {await error}");
        return child.ExitCode == 0 ? int.Parse(await said, System.Globalization.CultureInfo.InvariantCulture) : null;
    }
}
