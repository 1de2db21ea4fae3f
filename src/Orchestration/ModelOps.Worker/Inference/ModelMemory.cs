using System.Globalization;
using ModelOps.ModelFiles.Gguf;

namespace ModelOps.Worker.Inference;

/// <summary>What a model takes of memory, told from its file before it is loaded.</summary>
internal static class ModelMemory
{
    private const int CacheBytes = 2; // per number: F16

    /// <summary>Bytes of the weights, all shards of them, and of keys and values of every slot; buffers of a step come on top.</summary>
    /// <exception cref="ModelFiles.InvalidModelFileException">It is no GGUF file.</exception>
    public static long Estimate(string path, int contextSize, int slots)
    {
        using var file = GgufFile.Open(path);
        var weights = Directory.GetFiles(Path.GetDirectoryName(path)!, "*.gguf").Sum(shard => new FileInfo(shard).Length);
        var context = Number(file, "context_length") is { } trained ? Math.Min(contextSize, trained) : contextSize;
        return weights + (CachePerToken(file) * context * slots);
    }

    /// <summary>1.5 GB, 850 MB: as people read it.</summary>
    public static string Text(long bytes) => bytes >= 1_000_000_000
        ? string.Create(CultureInfo.InvariantCulture, $"{bytes / 1e9:0.0} GB")
        : string.Create(CultureInfo.InvariantCulture, $"{bytes / 1e6:0.#} MB");

    private static long CachePerToken(GgufFile file)
    {
        if (Number(file, "block_count") is not { } layers || Number(file, "attention.head_count") is not { } heads || heads == 0) return 0;
        var width = Number(file, "embedding_length") / heads ?? 0;
        var keys = Number(file, "attention.key_length") ?? width;
        var values = Number(file, "attention.value_length") ?? width;
        var cached = Value(file, "attention.head_count_kv") switch
        {
            uint[] perLayer => perLayer.Sum(count => (long)count),
            int[] perLayer => perLayer.Sum(count => (long)count),
            _ => (Number(file, "attention.head_count_kv") ?? heads) * layers,
        };
        return cached * (keys + values) * CacheBytes;
    }

    private static long? Number(GgufFile file, string key) => Value(file, key) switch
    {
        uint value => value,
        int value => value,
        ulong value => checked((long)value),
        _ => null,
    };

    private static object? Value(GgufFile file, string key) => file.Metadata.GetValueOrDefault($"{file.Metadata.GetValueOrDefault("general.architecture")}.{key}");
}
