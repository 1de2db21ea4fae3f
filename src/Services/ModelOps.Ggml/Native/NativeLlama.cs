using System.Runtime.InteropServices;

namespace ModelOps.Ggml.Native;

/// <summary>llama.h of the pinned build.</summary>
internal static unsafe partial class NativeLlama
{
    private const string Library = NativeLibraries.Llama;

    [LibraryImport(Library, EntryPoint = "llama_version")]
    public static partial nint Version();

    [LibraryImport(Library, EntryPoint = "llama_backend_init")]
    public static partial void BackendInit();

    [LibraryImport(Library, EntryPoint = "llama_log_set")]
    public static partial void LogSet(delegate* unmanaged[Cdecl]<int, byte*, void*, void> callback, void* data);

    [LibraryImport(Library, EntryPoint = "llama_max_parallel_sequences")]
    public static partial nuint MaxParallelSequences();

    [LibraryImport(Library, EntryPoint = "llama_model_default_params")]
    public static partial ModelParams ModelDefaults();

    [LibraryImport(Library, EntryPoint = "llama_context_default_params")]
    public static partial ContextParams ContextDefaults();

    [LibraryImport(Library, EntryPoint = "llama_model_quantize_default_params")]
    public static partial QuantizeParams QuantizeDefaults();

    // On this ABI (System V x86-64, section 3.2.3) a struct larger than 16 bytes is returned through a hidden first argument: asking with
    // a buffer of our own shows how many bytes the library writes.
    [LibraryImport(Library, EntryPoint = "llama_model_default_params")]
    public static partial nint WriteModelDefaults(byte* destination);

    [LibraryImport(Library, EntryPoint = "llama_context_default_params")]
    public static partial nint WriteContextDefaults(byte* destination);

    [LibraryImport(Library, EntryPoint = "llama_model_quantize_default_params")]
    public static partial nint WriteQuantizeDefaults(byte* destination);

    [LibraryImport(Library, EntryPoint = "llama_model_load_from_file", StringMarshalling = StringMarshalling.Utf8)]
    public static partial nint LoadModel(string path, ModelParams parameters);

    [LibraryImport(Library, EntryPoint = "llama_model_free")]
    public static partial void FreeModel(nint model);

    [LibraryImport(Library, EntryPoint = "llama_model_get_vocab")]
    public static partial nint Vocabulary(ModelHandle model);

    [LibraryImport(Library, EntryPoint = "llama_model_n_ctx_train")]
    public static partial int TrainedContext(ModelHandle model);

    [LibraryImport(Library, EntryPoint = "llama_model_size")]
    public static partial ulong ModelSize(ModelHandle model);

    [LibraryImport(Library, EntryPoint = "llama_model_n_params")]
    public static partial ulong ParameterCount(ModelHandle model);

    [LibraryImport(Library, EntryPoint = "llama_model_desc")]
    public static partial int Description(ModelHandle model, byte* buffer, nuint length);

    [LibraryImport(Library, EntryPoint = "llama_model_chat_template", StringMarshalling = StringMarshalling.Utf8)]
    public static partial nint ChatTemplate(ModelHandle model, string? name);

    [LibraryImport(Library, EntryPoint = "llama_model_has_encoder")]
    [return: MarshalAs(UnmanagedType.U1)]
    public static partial bool HasEncoder(ModelHandle model);

    [LibraryImport(Library, EntryPoint = "llama_model_is_diffusion")]
    [return: MarshalAs(UnmanagedType.U1)]
    public static partial bool IsDiffusion(ModelHandle model);

    [LibraryImport(Library, EntryPoint = "llama_model_is_recurrent")]
    [return: MarshalAs(UnmanagedType.U1)]
    public static partial bool IsRecurrent(ModelHandle model);

    [LibraryImport(Library, EntryPoint = "llama_model_is_hybrid")]
    [return: MarshalAs(UnmanagedType.U1)]
    public static partial bool IsHybrid(ModelHandle model);

    [LibraryImport(Library, EntryPoint = "llama_model_n_embd_out")]
    public static partial int EmbeddingWidth(ModelHandle model);

    [LibraryImport(Library, EntryPoint = "llama_model_n_cls_out")]
    public static partial uint ClassCount(ModelHandle model);

    [LibraryImport(Library, EntryPoint = "llama_adapter_lora_init", StringMarshalling = StringMarshalling.Utf8)]
    public static partial nint LoadAdapter(nint model, string path);

    [LibraryImport(Library, EntryPoint = "llama_adapter_lora_free")]
    public static partial void FreeAdapter(nint adapter);

    [LibraryImport(Library, EntryPoint = "llama_model_meta_count")]
    public static partial int MetadataCount(ModelHandle model);

    [LibraryImport(Library, EntryPoint = "llama_model_meta_key_by_index")]
    public static partial int MetadataKey(ModelHandle model, int index, byte* buffer, nuint length);

    [LibraryImport(Library, EntryPoint = "llama_model_meta_val_str_by_index")]
    public static partial int MetadataValue(ModelHandle model, int index, byte* buffer, nuint length);

    [LibraryImport(Library, EntryPoint = "llama_model_quantize", StringMarshalling = StringMarshalling.Utf8)]
    public static partial uint Quantize(string source, string target, QuantizeParams* parameters);

    [LibraryImport(Library, EntryPoint = "llama_vocab_type")]
    public static partial int VocabularyType(nint vocabulary);

    [LibraryImport(Library, EntryPoint = "llama_vocab_n_tokens")]
    public static partial int VocabularySize(nint vocabulary);

    [LibraryImport(Library, EntryPoint = "llama_vocab_bos")]
    public static partial int Bos(nint vocabulary);

    [LibraryImport(Library, EntryPoint = "llama_vocab_eos")]
    public static partial int Eos(nint vocabulary);

    [LibraryImport(Library, EntryPoint = "llama_vocab_sep")]
    public static partial int Separator(nint vocabulary);

    [LibraryImport(Library, EntryPoint = "llama_vocab_get_add_eos")]
    [return: MarshalAs(UnmanagedType.U1)]
    public static partial bool AddsEos(nint vocabulary);

    [LibraryImport(Library, EntryPoint = "llama_vocab_get_add_sep")]
    [return: MarshalAs(UnmanagedType.U1)]
    public static partial bool AddsSeparator(nint vocabulary);

    [LibraryImport(Library, EntryPoint = "llama_vocab_get_add_bos")]
    [return: MarshalAs(UnmanagedType.U1)]
    public static partial bool AddsBos(nint vocabulary);

    [LibraryImport(Library, EntryPoint = "llama_vocab_is_eog")]
    [return: MarshalAs(UnmanagedType.U1)]
    public static partial bool IsEndOfGeneration(nint vocabulary, int token);

    [LibraryImport(Library, EntryPoint = "llama_tokenize")]
    public static partial int Tokenize(
        nint vocabulary,
        byte* text,
        int length,
        int* tokens,
        int capacity,
        [MarshalAs(UnmanagedType.U1)] bool addSpecial,
        [MarshalAs(UnmanagedType.U1)] bool parseSpecial);

    [LibraryImport(Library, EntryPoint = "llama_token_to_piece")]
    public static partial int TokenToPiece(
        nint vocabulary, int token, byte* buffer, int length, int strippedSpaces, [MarshalAs(UnmanagedType.U1)] bool special);

    [LibraryImport(Library, EntryPoint = "llama_init_from_model")]
    public static partial nint CreateContext(ModelHandle model, ContextParams parameters);

    [LibraryImport(Library, EntryPoint = "llama_free")]
    public static partial void FreeContext(nint context);

    [LibraryImport(Library, EntryPoint = "llama_attach_threadpool")]
    public static partial void AttachThreadPool(ContextHandle context, nint pool, nint batchPool);

    [LibraryImport(Library, EntryPoint = "llama_n_ctx_seq")]
    public static partial uint ContextPerSequence(ContextHandle context);

    [LibraryImport(Library, EntryPoint = "llama_get_memory")]
    public static partial nint Memory(ContextHandle context);

    [LibraryImport(Library, EntryPoint = "llama_memory_clear")]
    public static partial void ClearMemory(nint memory, [MarshalAs(UnmanagedType.U1)] bool data);

    [LibraryImport(Library, EntryPoint = "llama_memory_seq_rm")]
    [return: MarshalAs(UnmanagedType.U1)]
    public static partial bool RemoveSequence(nint memory, int sequence, int from, int to);

    // Between streams, that is, without a unified cache, it copies whole sequences only and asserts so.
    [LibraryImport(Library, EntryPoint = "llama_memory_seq_cp")]
    public static partial void CopySequence(nint memory, int source, int target, int from, int to);

    /// <returns>0 is done.</returns>
    [LibraryImport(Library, EntryPoint = "llama_set_adapters_lora")]
    public static partial int SetAdapters(ContextHandle context, nint* adapters, nuint count, float* scales);

    [LibraryImport(Library, EntryPoint = "llama_decode")]
    public static partial int Decode(ContextHandle context, Batch batch);

    [LibraryImport(Library, EntryPoint = "llama_get_logits_ith")]
    public static partial float* Logits(ContextHandle context, int index);

    [LibraryImport(Library, EntryPoint = "llama_get_embeddings_seq")]
    public static partial float* SequenceEmbedding(ContextHandle context, int sequence);

    [LibraryImport(Library, EntryPoint = "llama_sampler_chain_default_params")]
    public static partial SamplerChainParams SamplerChainDefaults();

    [LibraryImport(Library, EntryPoint = "llama_sampler_chain_init")]
    public static partial nint CreateSamplerChain(SamplerChainParams parameters);

    [LibraryImport(Library, EntryPoint = "llama_sampler_chain_add")]
    public static partial void AddSampler(SamplerHandle chain, nint sampler);

    [LibraryImport(Library, EntryPoint = "llama_sampler_init_dist")]
    public static partial nint DistributionSampler(uint seed);

    [LibraryImport(Library, EntryPoint = "llama_sampler_init_top_k")]
    public static partial nint TopKSampler(int k);

    [LibraryImport(Library, EntryPoint = "llama_sampler_init_top_p")]
    public static partial nint TopPSampler(float p, nuint keptAtLeast);

    [LibraryImport(Library, EntryPoint = "llama_sampler_init_min_p")]
    public static partial nint MinPSampler(float p, nuint keptAtLeast);

    [LibraryImport(Library, EntryPoint = "llama_sampler_init_temp")]
    public static partial nint TemperatureSampler(float temperature);

    /// <returns>0 if the grammar is wrong; the log has the reason.</returns>
    [LibraryImport(Library, EntryPoint = "llama_sampler_init_grammar", StringMarshalling = StringMarshalling.Utf8)]
    public static partial nint GrammarSampler(nint vocabulary, string grammar, string root);

    [LibraryImport(Library, EntryPoint = "llama_sampler_apply")]
    public static partial void ApplySampler(SamplerHandle sampler, TokenDataArray* candidates);

    // A grammar aborts the process if it does not allow the token.
    [LibraryImport(Library, EntryPoint = "llama_sampler_accept")]
    public static partial void AcceptToken(SamplerHandle sampler, int token);

    [LibraryImport(Library, EntryPoint = "llama_sampler_free")]
    public static partial void FreeSampler(nint sampler);
}
