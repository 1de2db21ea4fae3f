using System.Numerics;
using System.Runtime.InteropServices;
using ModelOps.Ggml.Native;

namespace ModelOps.Ggml;

/// <summary>What all samplers of an engine work in, one after the other: the logits of a token and the candidates made of them.</summary>
internal sealed class SamplingBuffer(int vocabularySize)
{
    public float[] Logits { get; } = new float[vocabularySize];

    public TokenData[] Candidates { get; } = GC.AllocateArray<TokenData>(vocabularySize, pinned: true);
}

/// <summary>Chooses the tokens of one completion. Not thread-safe.</summary>
internal sealed unsafe class TokenSampler : IDisposable
{
    private readonly SamplingOptions options;
    private readonly SamplingBuffer buffer;
    private readonly SamplerHandle? grammar;
    private readonly SamplerHandle? filters;
    private readonly Dictionary<int, int> completion = []; // how often it has each token
    private readonly HashSet<int> text = []; // tokens of prompt and completion
    private readonly bool adjusts;
    private readonly bool penalizes;

    /// <param name="grammar">Owned by the sampler from now on.</param>
    public TokenSampler(SamplingOptions options, ReadOnlySpan<int> prompt, SamplerHandle? grammar, SamplingBuffer buffer)
    {
        this.options = options;
        this.buffer = buffer;
        this.grammar = grammar;
        filters = options.Temperature == 0 ? null : Filters(options);
        penalizes = options.FrequencyPenalty != 0 || options.PresencePenalty != 0 || options.RepeatPenalty != 1;
        adjusts = penalizes || options.LogitBias.Count > 0;
        if (options.RepeatPenalty != 1) text.UnionWith(prompt.ToArray());
    }

    /// <returns>The next token; null if grammar and bias leave none.</returns>
    public int? Sample(ReadOnlySpan<float> logits)
    {
        if (adjusts) logits = Adjust(logits);
        var token = Choose(logits);
        if (grammar is not null && token is not null && !Allows(token.Value)) token = ChooseAllowed(logits);
        if (token is { } chosen) Accept(chosen);
        return token;
    }

    public void Dispose()
    {
        grammar?.Dispose();
        filters?.Dispose();
    }

    /// <summary>The first index of the largest number.</summary>
    internal static int ArgMax(ReadOnlySpan<float> logits)
    {
        var largest = new Vector<float>(float.NegativeInfinity);
        var i = 0;
        for (; i <= logits.Length - Vector<float>.Count; i += Vector<float>.Count) largest = Vector.MaxNumber(largest, new Vector<float>(logits[i..]));
        var max = float.NegativeInfinity;
        for (var lane = 0; lane < Vector<float>.Count; lane++) max = MathF.Max(max, largest[lane]);
        for (; i < logits.Length; i++)
            if (logits[i] > max) max = logits[i];
        return Math.Max(0, logits.IndexOf(max)); // -1: all are NaN
    }

    private float[] Adjust(ReadOnlySpan<float> logits)
    {
        var adjusted = buffer.Logits;
        logits.CopyTo(adjusted);
        foreach (var (token, bias) in options.LogitBias) adjusted[token] += bias;
        if (options.RepeatPenalty != 1)
            foreach (var token in text)
                adjusted[token] = adjusted[token] > 0 ? adjusted[token] / options.RepeatPenalty : adjusted[token] * options.RepeatPenalty;
        foreach (var (token, count) in completion)
            adjusted[token] -= (count * options.FrequencyPenalty) + options.PresencePenalty;
        return adjusted;
    }

    private int? Choose(ReadOnlySpan<float> logits)
    {
        if (filters is not null) return Draw(Fill(logits));
        var token = ArgMax(logits);
        return logits[token] > float.NegativeInfinity ? token : null;
    }

    // The whole vocabulary meets the grammar only if the first choice did not: the distribution is the same, and the cost is not, since a
    // grammar looks at the text of every candidate.
    private int? ChooseAllowed(ReadOnlySpan<float> logits)
    {
        var candidates = Fill(logits);
        NativeLlama.ApplySampler(grammar!, &candidates);
        if (filters is not null) return Draw(candidates);
        var best = 0;
        for (var i = 1; i < (int)candidates.Count; i++)
            if (candidates.Data[i].Logit > candidates.Data[best].Logit) best = i;
        return candidates.Data[best].Logit > float.NegativeInfinity ? candidates.Data[best].Token : null;
    }

    private int? Draw(TokenDataArray candidates)
    {
        NativeLlama.ApplySampler(filters!, &candidates);
        if ((ulong)candidates.Selected >= candidates.Count) return null;
        var selected = candidates.Data[candidates.Selected];
        return selected.Logit > float.NegativeInfinity ? selected.Token : null;
    }

    private bool Allows(int token)
    {
        var only = new TokenData { Token = token, Logit = 1 };
        var candidates = new TokenDataArray { Data = &only, Count = 1, Selected = -1 };
        NativeLlama.ApplySampler(grammar!, &candidates);
        return !float.IsNegativeInfinity(only.Logit);
    }

    private void Accept(int token)
    {
        if (grammar is not null) NativeLlama.AcceptToken(grammar, token);
        if (!penalizes) return;
        CollectionsMarshal.GetValueRefOrAddDefault(completion, token, out _)++;
        if (options.RepeatPenalty != 1) text.Add(token);
    }

    private TokenDataArray Fill(ReadOnlySpan<float> logits)
    {
        var candidates = buffer.Candidates;
        for (var token = 0; token < logits.Length; token++) candidates[token] = new TokenData { Token = token, Logit = logits[token] };
        // Allocated pinned: the address stays after the statement.
        fixed (TokenData* start = candidates)
            return new TokenDataArray { Data = start, Count = (nuint)logits.Length, Selected = -1 };
    }

    private static SamplerHandle Filters(SamplingOptions options)
    {
        var chain = new SamplerHandle(NativeLlama.CreateSamplerChain(NativeLlama.SamplerChainDefaults()));
        if (options.TopK > 0) NativeLlama.AddSampler(chain, NativeLlama.TopKSampler(options.TopK));
        if (options.TopP < 1) NativeLlama.AddSampler(chain, NativeLlama.TopPSampler(options.TopP, 1));
        if (options.MinP > 0) NativeLlama.AddSampler(chain, NativeLlama.MinPSampler(options.MinP, 1));
        NativeLlama.AddSampler(chain, NativeLlama.TemperatureSampler(options.Temperature));
        NativeLlama.AddSampler(chain, NativeLlama.DistributionSampler(Fixed(options.Seed)));
        return chain;
    }

    // LLAMA_DEFAULT_SEED, 0xffffffff, asks llama.cpp for a random seed.
    private static uint Fixed(uint seed) => Math.Min(seed, uint.MaxValue - 1);
}
