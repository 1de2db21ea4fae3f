using System.Runtime.InteropServices;

namespace ModelOps.Ggml.Native;

/// <summary>Something known of the build that the binding was written for, and what the loaded library says.</summary>
internal sealed record BuildFact(string Name, string Expected, string Found);

/// <summary>
/// llama.cpp's ABI has no version: another build may move a field and be silently wrong. Identity, sizes and defaults of every struct
/// that we fill are therefore compared with those of the build in <c>native/package.json</c>.
/// </summary>
internal static unsafe class NativeBuild
{
    public static IReadOnlyList<BuildFact> Read()
    {
        var model = NativeLlama.ModelDefaults();
        var context = NativeLlama.ContextDefaults();
        var quantize = NativeLlama.QuantizeDefaults();
        var threads = default(ThreadPoolParams);
        NativeGgml.ThreadPoolDefaults(&threads, 3);
        return
        [
            new("llama_version", "0.5.0-dev", Text(NativeLlama.Version())),
            new("ggml_version", "0.25.1", Text(NativeGgml.Version())),
            new("ggml_commit", "0ad4a86", Text(NativeGgml.Commit())),
            new("end of llama_model_params", $"{sizeof(ModelParams) - 2}", $"{End(&NativeLlama.WriteModelDefaults)}"), // 2 of padding
            new("end of llama_context_params", $"{sizeof(ContextParams)}", $"{End(&NativeLlama.WriteContextDefaults)}"),
            new("end of llama_model_quantize_params", $"{sizeof(QuantizeParams)}", $"{End(&NativeLlama.WriteQuantizeDefaults)}"),
            new("defaults of llama_model_params", "-1 1 -1 1 0 | 0 0 1 0 0 0",
                $"{model.GpuLayers} {model.SplitMode} {model.LoadMode} {model.LazyMode} {model.MainGpu} | {model.VocabularyOnly} " +
                $"{model.CheckTensors} {model.UseExtraBufferTypes} {model.NoHost} {model.NoAllocation} {model.LoadMultiTokenPrediction}"),
            new("defaults of llama_context_params", "512 2048 512 1 0 0 1 4 4 | 0 -1 -1 -1 -1 | 1 1 | 0 1 1 1 1 0",
                $"{context.ContextSize} {context.BatchSize} {context.PhysicalBatchSize} {context.MaxSequences} " +
                $"{context.RecurrentSnapshots} {context.MaxOutputs} {context.MaxOutputsPerSequence} {context.Threads} " +
                $"{context.BatchThreads} | {context.ContextType} {context.RopeScalingType} {context.PoolingType} " +
                $"{context.AttentionType} {context.FlashAttention} | {context.KeyType} {context.ValueType} | {context.Embeddings} " +
                $"{context.OffloadKeyValues} {context.NoPerformance} {context.OffloadOperations} {context.FullSlidingWindow} " +
                $"{context.UnifiedCache}"),
            new("defaults of llama_model_quantize_params", "0 7 43 43 | 0 1 0 0 0 0 | 8589934592",
                $"{quantize.Threads} {quantize.FileType} {quantize.OutputTensorType} {quantize.TokenEmbeddingType} | " +
                $"{quantize.AllowRequantize} {quantize.QuantizeOutputTensor} {quantize.OnlyCopy} {quantize.Pure} {quantize.KeepSplit} " +
                $"{quantize.DryRun} | {quantize.MaxBufferSize}"),
            new("defaults of ggml_threadpool_params", "3 0 50 0 0", $"{threads.Threads} {threads.Priority} {threads.Polling} {threads.StrictCpus} {threads.Paused}"),
            new("top-k 1 and temperature 0.5 of llama_token_data 7: 1, 9: 2", "1 | 9 4", Sampled()),
        ];
    }

    /// <exception cref="GgmlException">The build is not the known one; the message has every difference.</exception>
    public static void Verify(IReadOnlyList<BuildFact> facts)
    {
        var differences = facts.Where(fact => fact.Expected != fact.Found)
            .Select(fact => $"{fact.Name}: expected '{fact.Expected}', found '{fact.Found}'")
            .ToArray();
        if (differences.Length > 0)
            throw new GgmlException(
                $"llama.cpp in {NativeLibraries.Folder} is not the build that this version works with " +
                $"({string.Join("; ", differences)}). Restore the pinned one with 'dotnet build native'.");
    }

    public static string Text(nint utf8) => Marshal.PtrToStringUTF8(utf8) ?? "";

    /// <summary>The structs of samplers have no defaults: what two samplers make of known candidates shows that the fields are where they were.</summary>
    private static string Sampled()
    {
        using var chain = new SamplerHandle(NativeLlama.CreateSamplerChain(NativeLlama.SamplerChainDefaults()));
        NativeLlama.AddSampler(chain, NativeLlama.TopKSampler(1));
        NativeLlama.AddSampler(chain, NativeLlama.TemperatureSampler(0.5f));
        var candidates = stackalloc TokenData[] { new() { Token = 7, Logit = 1 }, new() { Token = 9, Logit = 2 } };
        var array = new TokenDataArray { Data = candidates, Count = 2, Selected = -1 };
        NativeLlama.ApplySampler(chain, &array);
        return $"{array.Count} | {array.Data->Token} {array.Data->Logit}";
    }

    /// <returns>Bytes up to the last that the library writes.</returns>
    private static int End(delegate*<byte*, nint> writeDefaults)
    {
        const int capacity = 1024;
        var zeros = stackalloc byte[capacity];
        var ones = stackalloc byte[capacity];
        new Span<byte>(zeros, capacity).Clear();
        new Span<byte>(ones, capacity).Fill(0xff);
        writeDefaults(zeros);
        writeDefaults(ones);
        var size = capacity;
        while (size > 0 && zeros[size - 1] != ones[size - 1]) size--;
        return size;
    }
}
