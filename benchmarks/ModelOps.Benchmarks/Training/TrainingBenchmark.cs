using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using ModelOps.ModelFiles;
using ModelOps.Models;

namespace ModelOps.Benchmarks.Training;

/// <summary>LoRA fine-tuning beside the machine's matrix product peak and a plain loop; QLoRA and packing beside doing without.</summary>
internal static class TrainingBenchmark
{
    public static Command Create()
    {
        var model = new Option<string>("--model") { Description = "Folder of the base model; its tokenizer and chat template are those of the SmolLM2 shape too.", DefaultValueFactory = _ => "samples/models/wordsmith" };
        var rows = new Option<string>("--rows") { Description = "Rows to learn: a JSON list of instruction, input and output.", DefaultValueFactory = _ => "../shared/data/sft/alpaca_en_demo.json" };
        var steps = new Option<int>("--steps") { Description = "Updates per case; the first two do not count.", DefaultValueFactory = _ => 20 };
        var length = new Option<int>("--length") { Description = "Tokens per row.", DefaultValueFactory = _ => 512 };
        var batch = new Option<int>("--batch") { Description = "Rows per update; a quarter of it on the SmolLM2 shape.", DefaultValueFactory = _ => 8 };
        var threads = new Option<int>("--threads") { Description = "CPU threads.", DefaultValueFactory = _ => 2 };
        var only = new Option<string?>("--case") { Description = "Measure this case alone, of this model, in this process, and print it as JSON." };
        only.AcceptOnlyFromAmong([.. TrainingCase.All.Select(one => one.Name)]);
        var command = new Command("training", "Speed and memory of fine-tuning, each case in a process of its own.") { model, rows, steps, length, batch, threads, only };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            var settings = new TrainingSettings(
                parsed.GetRequiredValue(model), parsed.GetRequiredValue(rows), parsed.GetValue(steps), parsed.GetValue(length), parsed.GetValue(batch), parsed.GetValue(threads));
            if (parsed.GetValue(only) is { } name)
            {
                var measured = await TrainingCase.All.Single(one => one.Name == name).MeasureAsync(settings, cancellationToken);
                Console.WriteLine(JsonSerializer.Serialize(measured, TrainingJson.Default.TrainingMeasurement));
                return;
            }
            await CompareAsync(settings, cancellationToken);
        });
        return command;
    }

    private static async Task CompareAsync(TrainingSettings settings, CancellationToken cancellationToken)
    {
        Console.WriteLine($"{settings.Steps} steps, rows of {settings.Length} tokens, {settings.Threads} threads of {Environment.ProcessorCount} CPUs, .NET {Environment.Version}");
        var work = Directory.CreateTempSubdirectory("modelops-training-").FullName;
        try
        {
            await CompareAsync("bundled", settings, cancellationToken);
            var smolLm = WriteSmolLm(Path.Combine(work, "smollm2"), ModelFolder.Open(settings.Model));
            await CompareAsync("SmolLM2-135M", settings with { Model = smolLm.Path, Batch = Math.Max(1, settings.Batch / 4) }, cancellationToken);
        }
        finally
        {
            Directory.Delete(work, recursive: true);
        }
    }

    private static async Task CompareAsync(string shape, TrainingSettings settings, CancellationToken cancellationToken)
    {
        Dictionary<TrainingCase, TrainingMeasurement> measured = [];
        foreach (var one in TrainingCase.All)
        {
            var result = measured[one] = await MeasureApartAsync(one.Name, settings, cancellationToken);
            Print($"{shape} {one.Name}: {result.TokensPerSecond:0} tokens/s, {100 * result.PeakShare:0} % of {result.PeakFlops / 1e9:0} GFLOP/s, {result.PeakBytes / 1e6:0} MB at most, {result.WeightBytes / 1e6:0} MB of weights, {100 * result.DataShare:0.00} % of the time for data");
        }
        var (lora, qlora, unpacked, plain) = (measured[TrainingCase.Lora], measured[TrainingCase.Qlora], measured[TrainingCase.Unpacked], measured[TrainingCase.Plain]);
        Print($"{shape}: LoRA is {lora.TokensPerSecond / plain.TokensPerSecond:0.00} times as fast as the plain loop, with {lora.PeakBytes / (double)plain.PeakBytes:0.00} of its memory");
        Print($"{shape}: QLoRA's weights are {qlora.WeightBytes / (double)lora.WeightBytes:0.000} of fp32's, a token costs {lora.TokensPerSecond / qlora.TokensPerSecond:0.00} times as much");
        Print($"{shape}: packing is {lora.TokensPerSecond / unpacked.TokensPerSecond:0.00} times as fast as a row per example");
    }

    private static async Task<TrainingMeasurement> MeasureApartAsync(string name, TrainingSettings settings, CancellationToken cancellationToken)
    {
        var start = new ProcessStartInfo(Environment.ProcessPath!) { UseShellExecute = false, RedirectStandardOutput = true };
        foreach (var argument in (string[])["training", "--case", name, .. settings.Arguments()]) start.ArgumentList.Add(argument);
        using var child = Process.Start(start)!;
        try
        {
            var output = await child.StandardOutput.ReadToEndAsync(cancellationToken);
            await child.WaitForExitAsync(cancellationToken);
            if (child.ExitCode != 0) throw new InvalidOperationException($"the case '{name}' failed: {output}");
            return JsonSerializer.Deserialize(output, TrainingJson.Default.TrainingMeasurement)!;
        }
        finally
        {
            child.Kill(); // does nothing if it has ended
        }
    }

    /// <summary>The shape of SmolLM2-135M with random weights, and the tokenizer and template of <paramref name="bundled"/>: few of its tokens occur, all are computed.</summary>
    private static ModelFolder WriteSmolLm(string folder, ModelFolder bundled)
    {
        var config = bundled.Config with
        {
            LayerCount = 30,
            HiddenSize = 576,
            HeadCount = 9,
            KeyValueHeadCount = 3,
            HeadDimension = 64,
            IntermediateSize = 1536,
            VocabularySize = 49152,
            MaxPositions = 8192,
            RopeTheta = 100_000,
            TieWordEmbeddings = true,
        };
        using (var model = CausalLanguageModel.Initialize(config, seed: 1)) model.SaveModel(folder, bundled);
        config.Save(Path.Combine(folder, ModelConfig.FileName));
        return ModelFolder.Open(folder);
    }

    private static void Print(FormattableString line) => Console.WriteLine(line.ToString(CultureInfo.InvariantCulture));
}

/// <param name="Batch">Rows per update on the bundled model.</param>
internal sealed record TrainingSettings(string Model, string Rows, int Steps, int Length, int Batch, int Threads)
{
    public string[] Arguments() =>
    [
        "--model", Model, "--rows", Rows, "--steps", Number(Steps), "--length", Number(Length), "--batch", Number(Batch), "--threads", Number(Threads),
    ];

    private static string Number(int value) => value.ToString(CultureInfo.InvariantCulture);
}
