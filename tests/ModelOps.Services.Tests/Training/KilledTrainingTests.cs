using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using ModelOps.ModelFiles.Peft;

namespace ModelOps.Services.Tests.Training;

/// <summary>
/// A training process is killed with SIGKILL at a seeded step, again and again, and started again each time: it goes on as if nothing had been.
/// </summary>
public sealed class KilledTrainingTests : IDisposable
{
    private const int Kills = 10;
    private const int Steps = 160;
    private static readonly TimeSpan patience = TimeSpan.FromMinutes(2);
    private readonly TempFolder temp = new();

    public KilledTrainingTests() => TestModels.Write(temp["base"]);

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public void Dispose() => temp.Dispose();

    [Fact]
    public async Task Run_KilledTenTimes_HasTheLossesAndTheAdapterOfAnUndisturbedRun()
    {
        var undisturbed = await RunAsync("undisturbed", killAfter: int.MaxValue);
        Assert.Equal(Steps, undisturbed.Keys.Count(said => said.StartsWith("train ", StringComparison.Ordinal)));

        var random = new Random(3);
        var resumed = 0;
        for (var kill = 0; kill < Kills; kill++) resumed += AssertSame(undisturbed, await RunAsync("killed", random.Next(5, 18)));
        resumed += AssertSame(undisturbed, await RunAsync("killed", killAfter: int.MaxValue));

        Assert.True(resumed > Kills / 2, $"only {resumed} of {Kills} runs went on from a checkpoint: the test does not hit what it is for");
        Assert.Equal(Adapter("undisturbed"), Adapter("killed"));
        Assert.InRange(Directory.EnumerateFiles(temp["killed-checkpoints"], "step-*").Count(), 1, 3); // the newest two and the best
    }

    /// <returns>1 if it went on from a checkpoint.</returns>
    private static int AssertSame(Dictionary<string, string> undisturbed, Dictionary<string, string> run)
    {
        Assert.All(run, said => Assert.Equal(undisturbed[said.Key], said.Value));
        return run.Count > 0 && !run.ContainsKey("train 1") && !run.ContainsKey("evaluate_before 1") ? 1 : 0;
    }

    private byte[] Adapter(string name) => File.ReadAllBytes(Path.Combine(temp[name], AdapterFolder.WeightsFile));

    /// <returns>What it said: loss by stage and step, measurements with the step behind which they were made.</returns>
    private async Task<Dictionary<string, string>> RunAsync(string name, int killAfter)
    {
        var program = Path.Combine(AppContext.BaseDirectory, "../../ModelOps.TrainingRun/release/ModelOps.TrainingRun");
        var recipe = string.Create(
            CultureInfo.InvariantCulture,
            $$"""{"max_steps": {{Steps}}, "dropout": 0.1, "checkpoint_seconds": 0, "validate_every": 50, "samples": 1, "batch_size": 2, "accumulation": 2}""");
        var start = new ProcessStartInfo(program, [temp["base"], temp[name], temp[$"{name}-checkpoints"], recipe])
        {
            UseShellExecute = false,
            RedirectStandardOutput = true,
        };
        start.Environment["DOTNET_ROOT"] = Path.GetFullPath(Path.Combine(RuntimeEnvironment.GetRuntimeDirectory(), "../../.."));
        using var child = Process.Start(start)!;
        Dictionary<string, string> said = [];
        var trained = "";
        try
        {
            while (said.Count < killAfter && await child.StandardOutput.ReadLineAsync(Cancel).AsTask().WaitAsync(patience, Cancel) is { } line)
            {
                var (what, loss) = (line[..line.LastIndexOf(' ')], line[(line.LastIndexOf(' ') + 1)..]);
                if (what.StartsWith("train ", StringComparison.Ordinal)) trained = what;
                said[what.StartsWith("validate ", StringComparison.Ordinal) ? $"{what} after {trained}" : what] = loss;
            }
        }
        finally
        {
            child.Kill();
            await child.WaitForExitAsync(Cancel);
        }
        return said;
    }
}
