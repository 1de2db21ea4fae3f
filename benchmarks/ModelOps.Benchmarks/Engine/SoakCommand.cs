using System.CommandLine;
using ModelOps.Ggml;
using ModelOps.Services.Tests.Ggml;

namespace ModelOps.Benchmarks.Engine;

/// <summary>The engine under mixed load for long; fails if anything stuck, leaked or went wrong that was not planted.</summary>
internal static class SoakCommand
{
    private const double AllowedGrowth = 64e6;

    public static Command Create()
    {
        var minutes = new Option<double>("--minutes") { Description = "How long.", DefaultValueFactory = _ => 30 };
        var model = new Option<string>("--model") { Description = "The model's folder.", DefaultValueFactory = _ => "samples/models/wordsmith" };
        var command = new Command("soak", "Mixed load on the engine: short, long, cancelled, malformed, adapter switches.") { minutes, model };
        command.SetAction((parsed, cancellationToken) => RunAsync(parsed.GetValue(model)!, TimeSpan.FromMinutes(parsed.GetValue(minutes)), cancellationToken));
        return command;
    }

    private static async Task<int> RunAsync(string modelFolder, TimeSpan time, CancellationToken cancellationToken)
    {
        var folder = Directory.CreateTempSubdirectory("modelops-soak-").FullName;
        try
        {
            using var model = LlamaModel.Load(BenchmarkModels.Bundled(modelFolder, folder, QuantizationType.Q8_0));
            var adapters = Enumerable.Range(0, 3).Select(seed =>
            {
                var path = Path.Combine(folder, $"adapter-{seed}.gguf");
                new TinyAdapter { Seed = seed, Alpha = 1, Architecture = model.Metadata["general.architecture"] }.Write(path, model.Path);
                return path;
            }).ToArray();
            var report = await new EngineSoak(model, adapters).RunAsync(time, cancellationToken);
            foreach (var (outcome, count) in report.Outcomes) Console.WriteLine($"{outcome}: {count}");
            foreach (var error in report.Errors.Distinct()) Console.WriteLine($"not planted: {error}");
            var growth = report.MemoryAfter - report.MemoryBefore;
            Console.WriteLine($"{report.Errors.Count} errors, {report.StuckSlots} stuck slots, memory {report.MemoryBefore / 1e6:0} MB after a quarter, {report.MemoryAfter / 1e6:0} MB at the end");
            return report.Errors.Count == 0 && report.StuckSlots == 0 && growth < AllowedGrowth ? 0 : 1;
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }
}
