using System.Diagnostics;
using System.Text.Json;
using System.Text.Json.Serialization;
using ModelOps.ModelFiles;
using ModelOps.ModelFiles.ChatTemplates;
using ModelOps.Models;
using ModelOps.Recipes;
using ModelOps.Training;
using ModelOps.Training.Data;
using ModelOps.Training.Loop;
using ModelOps.Training.Runs;
using static TorchSharp.torch;

namespace ModelOps.Benchmarks.Training;

/// <param name="TokensPerSecond">Median of the steps, padding left out.</param>
/// <param name="PeakShare">Of the machine's matrix product peak, by the model's own arithmetic.</param>
/// <param name="PeakBytes">The most memory that the process had.</param>
/// <param name="WeightBytes">Of the base model while it is trained on.</param>
/// <param name="DataShare">Of a step's time: what making its batch takes.</param>
internal sealed record TrainingMeasurement(double TokensPerSecond, double PeakShare, double PeakFlops, long PeakBytes, long WeightBytes, double DataShare);

/// <summary>One way to fine-tune a model.</summary>
/// <param name="IsPlain">
/// Not the platform's run but the loop that one writes first: logits of every position whole, the optimizer of the tensor library.
/// </param>
internal sealed record TrainingCase(string Name, TrainingMethod Method = TrainingMethod.Lora, bool Packing = true, bool IsPlain = false)
{
    public static readonly TrainingCase Lora = new("lora");
    public static readonly TrainingCase Qlora = new("qlora", TrainingMethod.Qlora);
    public static readonly TrainingCase Unpacked = new("unpacked", Packing: false);
    public static readonly TrainingCase Plain = new("plain", Packing: false, IsPlain: true);

    private const int WarmUp = 2;
    private const int Rank = 16;
    private const int Seed = 42;

    public static IReadOnlyList<TrainingCase> All { get; } = [Lora, Qlora, Unpacked, Plain];

    public async Task<TrainingMeasurement> MeasureAsync(TrainingSettings settings, CancellationToken cancellationToken)
    {
        var work = Directory.CreateTempSubdirectory("modelops-training-").FullName;
        try
        {
            TorchNatives.Load();
            set_num_threads(settings.Threads);
            var model = ModelFolder.Open(settings.Model);
            var rows = Rows(settings.Rows);
            var run = new Run(model, rows, Encoded(model, rows, settings.Length), settings, Path.Combine(work, "adapter"));
            var peakBefore = ThroughputMeter.MeasurePeak(CPU, TimeProvider.System);
            var speed = IsPlain ? TrainPlainly(run, cancellationToken) : await TrainAsync(run, cancellationToken);
            var peak = Math.Max(peakBefore, ThroughputMeter.MeasurePeak(CPU, TimeProvider.System)); // others may have had the machine at one of them
            using var process = Process.GetCurrentProcess();
            var peakBytes = process.PeakWorkingSet64;
            var (flops, weightBytes) = Costs(run);
            return new(speed, speed * flops / peak, peak, peakBytes, weightBytes, DataSeconds(run) * speed);
        }
        finally
        {
            Directory.Delete(work, recursive: true);
        }
    }

    /// <returns>Tokens per second.</returns>
    private async Task<double> TrainAsync(Run run, CancellationToken cancellationToken)
    {
        var speeds = new Speeds();
        await new RecipeTraining(TimeProvider.System).RunAsync(
            new()
            {
                ModelFolder = run.Model.Path,
                TrainRows = run.Rows,
                ValidationRows = [run.Rows[0]],
                OutputFolder = run.Output,
                Recipe = new()
                {
                    Method = Method,
                    Packing = Packing,
                    MaxSteps = run.Settings.Steps,
                    BatchSize = run.Settings.Batch,
                    SequenceLength = run.Settings.Length,
                    Rank = Rank,
                    Seed = Seed,
                },
                Threads = run.Settings.Threads,
            },
            speeds,
            cancellationToken);
        return Median(speeds.Values);
    }

    /// <returns>Tokens per second.</returns>
    private static double TrainPlainly(Run run, CancellationToken cancellationToken)
    {
        using var model = CausalLanguageModel.Load(run.Model);
        model.AttachLora(new() { Rank = Rank }, Seed);
        using var optimizer = optim.AdamW(model.TrainableParameters, lr: 1e-4);
        var order = Order(run);
        List<double> speeds = [];
        for (var step = 0; step < run.Settings.Steps; step++)
        {
            cancellationToken.ThrowIfCancellationRequested();
            using var scope = NewDisposeScope();
            var clock = Stopwatch.StartNew();
            using var batch = new PackedBatch(order.BatchOf(step), CPU);
            optimizer.zero_grad();
            var logits = model.Forward(batch.Ids_BT);
            nn.functional.cross_entropy(logits.flatten(0, 1), batch.Targets_BT.flatten(), ignore_index: CausalLanguageModel.IgnoredTarget).backward();
            optimizer.step();
            speeds.Add(batch.Tokens / clock.Elapsed.TotalSeconds);
        }
        return Median(speeds);
    }

    /// <returns>Seconds per token that making batches takes.</returns>
    private static double DataSeconds(Run run)
    {
        var order = Order(run);
        var (seconds, tokens) = (0.0, 0L);
        for (var step = 0; step < run.Settings.Steps; step++)
        {
            var clock = Stopwatch.StartNew();
            using var batch = new PackedBatch(order.BatchOf(step), CPU);
            seconds += clock.Elapsed.TotalSeconds;
            tokens += batch.Tokens;
        }
        return seconds / tokens;
    }

    /// <returns>Operations per token of a step, and what the base's weights take.</returns>
    private (double Flops, long WeightBytes) Costs(Run run)
    {
        using var model = CausalLanguageModel.Load(run.Model, use: Method == TrainingMethod.Qlora ? WeightUse.FourBit : WeightUse.Frozen);
        var weightBytes = model.WeightBytes;
        model.AttachLora(new() { Rank = Rank }, Seed);
        return (model.TrainingFlopsPerToken(run.Settings.Length), weightBytes);
    }

    private IReadOnlyList<PackedRow> Encoded(ModelFolder model, IReadOnlyList<ChatExample> rows, int length)
    {
        var sequences = EncodedRows.Encode(new ChatEncoder(model, LearnedTokens.Assistant), rows, CancellationToken.None).Fit(length).Sequences;
        return Packing ? SequencePacker.Pack(sequences, length) : [.. sequences.Select(sequence => new PackedRow([sequence]))];
    }

    private static BatchOrder Order(Run run) => new(run.Encoded, run.Settings.Batch, Seed);

    private static double Median(List<double> speeds)
    {
        double[] counted = [.. speeds.Skip(Math.Min(WarmUp, speeds.Count - 1)).Order()];
        return counted[counted.Length / 2];
    }

    private static List<ChatExample> Rows(string path)
    {
        using var file = JsonDocument.Parse(File.ReadAllBytes(path));
        return [.. file.RootElement.EnumerateArray().Select(row => new ChatExample(
        [
            new("user", $"{row.GetProperty("instruction").GetString()}\n{row.GetProperty("input").GetString()}".Trim()),
            new(ChatMessage.AssistantRole, row.GetProperty("output").GetString()),
        ]))];
    }

    private sealed record Run(ModelFolder Model, IReadOnlyList<ChatExample> Rows, IReadOnlyList<PackedRow> Encoded, TrainingSettings Settings, string Output);

    private sealed class Speeds : IProgress<TrainingProgress>
    {
        public List<double> Values { get; } = [];

        public void Report(TrainingProgress value)
        {
            if (value.Metrics.TryGetValue(TrainingMetrics.TokensPerSecond, out var speed)) Values.Add(speed);
        }
    }
}

[JsonSerializable(typeof(TrainingMeasurement))]
internal sealed partial class TrainingJson : JsonSerializerContext;
