namespace ModelOps.Ggml.Native;

internal static class SamplerChain
{
    public static SamplerHandle Create(SamplingOptions options)
    {
        var chain = new SamplerHandle(NativeLlama.CreateSamplerChain(NativeLlama.SamplerChainDefaults()));
        if (options.Temperature == 0)
        {
            NativeLlama.AddSampler(chain, NativeLlama.GreedySampler());
            return chain;
        }
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
