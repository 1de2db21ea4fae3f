using System.Runtime.InteropServices;
using ModelOps.Models.Decoder;
using static TorchSharp.torch;

namespace ModelOps.Models;

// Shapes: B rows, T new positions, V vocabulary.

/// <summary>How texts are continued.</summary>
public sealed record GenerationOptions
{
    /// <summary>Tokens that a continuation has at most.</summary>
    public required int MaxTokens { get; init; }

    /// <summary>Tokens that end a continuation; they are not part of it.</summary>
    public IReadOnlyList<int> StopTokens { get; init; } = [];

    /// <value>The default is 0: greedy.</value>
    public double Temperature { get; init; }

    /// <summary>For sampling: each row draws from numbers of its own, whatever else is in the batch.</summary>
    /// <value>The default is 0.</value>
    public int Seed { get; init; }
}

/// <param name="Stopped">Whether a stop token ended it; else it is as long as it may be.</param>
public sealed record GeneratedTokens(IReadOnlyList<int> Tokens, bool Stopped);

public sealed partial class CausalLanguageModel
{
    /// <summary>
    /// Continues every prompt, all of them at once, with the adapter if one is attached. Keys and values are cached: their memory is that of the
    /// longest prompt and <see cref="GenerationOptions.MaxTokens"/>, times the prompts. A continuation ends where the model's positions end.
    /// </summary>
    /// <returns>In the order of the prompts.</returns>
    /// <exception cref="ArgumentException">A prompt is empty, has ids outside the vocabulary or leaves no position free, or an option is out of range; names all.</exception>
    /// <exception cref="OperationCanceledException">Between two tokens.</exception>
    public IReadOnlyList<GeneratedTokens> Generate(IReadOnlyList<IReadOnlyList<int>> prompts, GenerationOptions options, CancellationToken cancellationToken)
    {
        ThrowUnlessContinuable(prompts, options);
        if (prompts.Count == 0) return [];
        using var frozen = no_grad();
        var length = prompts.Max(prompt => prompt.Count);
        var rows = prompts.Select((prompt, row) => new GeneratedRow(options, Config.MaxPositions - prompt.Count, row)).ToList();
        using var cache = new KeyValueCache(Config, [.. prompts.Select(prompt => length - prompt.Count)], length + options.MaxTokens, Device);
        IReadOnlyList<GeneratedRow> running = rows;
        var read = prompts.SelectMany(prompt => Enumerable.Repeat(0L, length - prompt.Count).Concat(prompt.Select(id => (long)id))).ToArray();
        while (running.Count > 0)
        {
            cancellationToken.ThrowIfCancellationRequested();
            using var scope = NewDisposeScope();
            var logits_BV = NextLogits(tensor(read, running.Count, read.Length / running.Count, device: Device), cache);
            Choose(logits_BV, running, options.Temperature);
            int[] unfinished = [.. Enumerable.Range(0, running.Count).Where(row => !running[row].IsFinished)];
            if (unfinished.Length is > 0 and var left && left < running.Count) cache.Keep(unfinished);
            running = [.. unfinished.Select(row => running[row])];
            read = [.. running.Select(row => (long)row.Tokens[^1])];
        }
        return [.. rows.Select(row => new GeneratedTokens(row.Tokens, row.Stopped))];
    }

    /// <summary>(B, V) logits after the last of the new tokens.</summary>
    private Tensor NextLogits(Tensor ids_BT, KeyValueCache cache)
    {
        var count = (int)ids_BT.shape[1];
        var positions_BT = cache.Positions(count);
        var rotary = Rotary.At(positions_BT, globalFrequencies);
        var all = new AttentionReach(rotary, cache.Mask(count, window: null));
        var local = Config.SlidingWindow is { } window
            ? new AttentionReach(localFrequencies is null ? rotary : Rotary.At(positions_BT, localFrequencies), cache.Mask(count, window))
            : all;
        var hidden_BTD = Layers(ids_BT, all, local, cache);
        cache.Advance(count);
        return Head(finalNorm.Forward(hidden_BTD.narrow(1, count - 1, 1))).squeeze(1);
    }

    private static void Choose(Tensor logits_BV, IReadOnlyList<GeneratedRow> rows, double temperature)
    {
        if (temperature == 0)
        {
            var best = logits_BV.argmax(1).cpu().data<long>();
            for (var row = 0; row < rows.Count; row++) rows[row].Add((int)best[row]);
            return;
        }
        var logits = MemoryMarshal.Cast<byte, float>(logits_BV.cpu().contiguous().bytes);
        var vocabulary = logits.Length / rows.Count;
        for (var row = 0; row < rows.Count; row++)
            rows[row].Add(rows[row].Draw(logits.Slice(row * vocabulary, vocabulary), temperature));
    }

    private void ThrowUnlessContinuable(IReadOnlyList<IReadOnlyList<int>> prompts, GenerationOptions options)
    {
        List<string> errors = [];
        if (options.MaxTokens < 1) errors.Add($"max tokens is {options.MaxTokens}; it must be at least 1");
        if (!double.IsFinite(options.Temperature) || options.Temperature < 0) errors.Add($"temperature is {options.Temperature}; it must be at least 0");
        foreach (var (row, prompt) in prompts.Index())
        {
            if (prompt.Count == 0) errors.Add($"prompt {row} has no token");
            if (prompt.Count >= Config.MaxPositions) errors.Add($"prompt {row} has {prompt.Count} tokens; the model was made for {Config.MaxPositions}, answer included");
            if (prompt.Any(id => (uint)id >= (uint)Config.VocabularySize)) errors.Add($"prompt {row} has ids that are not from 0 to {Config.VocabularySize - 1}");
        }
        if (errors.Count > 0) throw new ArgumentException(string.Join("; ", errors), nameof(prompts));
    }

    /// <summary>A continuation while it grows.</summary>
    private sealed class GeneratedRow(GenerationOptions options, int room, int row)
    {
        private readonly List<int> tokens = [];
        private readonly int limit = Math.Min(options.MaxTokens, room);
        private readonly Random randomness = new(unchecked((options.Seed * 31) + row));

        public IReadOnlyList<int> Tokens => tokens;

        public bool Stopped { get; private set; }

        public bool IsFinished => Stopped || tokens.Count == limit;

        public void Add(int token)
        {
            Stopped = options.StopTokens.Contains(token);
            if (!Stopped) tokens.Add(token);
        }

        /// <summary>From softmax(logits / temperature), by the inverse of its distribution function.</summary>
        public int Draw(ReadOnlySpan<float> logits, double temperature)
        {
            var (likeliest, sum) = (0, 0.0);
            for (var token = 1; token < logits.Length; token++)
                if (logits[token] > logits[likeliest]) likeliest = token;
            var weights = new double[logits.Length];
            for (var token = 0; token < logits.Length; token++) sum += weights[token] = Math.Exp((logits[token] - logits[likeliest]) / temperature);
            var rest = randomness.NextDouble() * sum;
            for (var token = 0; token < weights.Length; token++)
                if ((rest -= weights[token]) < 0) return token;
            return likeliest; // rounding took the last of it
        }
    }
}
