using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;

namespace ModelOps.Services.Tests.Training;

/// <summary>A training process of its own, whose memory no other test touches, with all that a step can do.</summary>
public sealed class TrainingMemoryTests : IDisposable
{
    private const int Warm = 200;
    private const int Steps = 1000;

    /// <summary>Bytes: less than 8 KB a step, where one activation of the tiny model has 16 KB.</summary>
    private const long Tolerance = 6 << 20;

    private static readonly TimeSpan patience = TimeSpan.FromMinutes(2);
    private readonly TempFolder temp = new();

    public TrainingMemoryTests() => TestModels.Write(temp["base"]);

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public void Dispose() => temp.Dispose();

    [Theory]
    [InlineData("lora", """ "gradient_checkpointing": true, "neftune_alpha": 1, "dropout": 0.1 """)]
    [InlineData("qlora", """ "dora": true, "rslora": true """)]
    [InlineData("full", """ "weight_decay": 0.1 """)]
    public async Task Run_AThousandSteps_TakesNoMoreThanTwoHundred(string method, string settings)
    {
        var memory = await RunAsync(
            $$"""{"method": "{{method}}", "max_steps": {{Steps}}, "batch_size": 2, "sequence_length": 64, "validate_every": 100, "samples": 1, {{settings}}}""");

        Assert.Equal(Steps, memory.Count);
        Assert.Equal(memory[Warm - 1].Tensors, memory[^1].Tensors);
        Assert.True(
            memory[^1].Resident - memory[Warm - 1].Resident <= Tolerance,
            $"resident KiB every {Warm / 2} steps: {string.Join(' ', memory.Where((_, step) => (step + 1) % (Warm / 2) == 0).Select(step => step.Resident >> 10))}");
    }

    /// <returns>Of each step.</returns>
    private async Task<List<(long Resident, long Tensors)>> RunAsync(string recipe)
    {
        var program = Path.Combine(AppContext.BaseDirectory, "../../ModelOps.TrainingRun/release/ModelOps.TrainingRun");
        var start = new ProcessStartInfo(program, [temp["base"], temp["output"], temp["checkpoints"], recipe, "memory"])
        {
            UseShellExecute = false,
            RedirectStandardOutput = true,
        };
        start.Environment["DOTNET_ROOT"] = Path.GetFullPath(Path.Combine(RuntimeEnvironment.GetRuntimeDirectory(), "../../.."));
        start.Environment["DOTNET_GCgen0size"] = "400000"; // 4 MiB: what the garbage collector lets lie before it looks would hide growth
        start.Environment["DOTNET_TieredCompilation"] = "0"; // methods that are compiled again after step 200 would look like growth
        using var child = Process.Start(start)!;
        List<(long, long)> steps = [];
        try
        {
            while (await child.StandardOutput.ReadLineAsync(Cancel).AsTask().WaitAsync(patience, Cancel) is { } line)
                steps.Add(line.Split(' ') is [_, var resident, var tensors]
                    ? (long.Parse(resident, CultureInfo.InvariantCulture), long.Parse(tensors, CultureInfo.InvariantCulture))
                    : throw new InvalidDataException(line));
        }
        finally
        {
            child.Kill();
            await child.WaitForExitAsync(Cancel);
        }
        return steps;
    }
}
