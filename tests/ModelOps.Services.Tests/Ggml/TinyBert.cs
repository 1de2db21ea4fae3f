using System.Runtime.InteropServices;
using ModelOps.ModelFiles.Gguf;

namespace ModelOps.Services.Tests.Ggml;

/// <summary>A seeded random encoder of the BERT architecture, as embedding models and rerankers are, with words of single letters.</summary>
internal sealed record TinyBert
{
    private const int Width = 64;
    private const int HiddenWidth = 128;
    private const int Context = 64;
    private const int Layers = 2;

    /// <summary>llama_pooling_type: 1 mean, 2 the first token, 4 rank.</summary>
    public uint Pooling { get; init; } = 1;

    public void Write(string path)
    {
        var random = new Random(3);
        string[] tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", .. Enumerable.Range('a', 26).Select(letter => $"\u2581{(char)letter}")];
        GgufWriter.Write(
            path,
            new Dictionary<string, object>
            {
                ["general.architecture"] = "bert",
                ["bert.block_count"] = (uint)Layers,
                ["bert.context_length"] = (uint)Context,
                ["bert.embedding_length"] = (uint)Width,
                ["bert.feed_forward_length"] = (uint)HiddenWidth,
                ["bert.attention.head_count"] = 2u,
                ["bert.attention.layer_norm_epsilon"] = 1e-12f,
                ["bert.attention.causal"] = false,
                ["bert.pooling_type"] = Pooling,
                ["tokenizer.ggml.model"] = "bert",
                ["tokenizer.ggml.token_type_count"] = 2u,
                ["tokenizer.ggml.tokens"] = tokens,
                ["tokenizer.ggml.token_type"] = (int[])[3, 2, 3, 3, 3, .. Enumerable.Repeat(1, 26)],
                ["tokenizer.ggml.unknown_token_id"] = 1u,
                ["tokenizer.ggml.cls_token_id"] = 2u,
                ["tokenizer.ggml.bos_token_id"] = 2u,
                ["tokenizer.ggml.seperator_token_id"] = 3u, // the format's spelling
                ["tokenizer.ggml.eos_token_id"] = 3u,
                ["tokenizer.ggml.padding_token_id"] = 0u,
                ["tokenizer.ggml.mask_token_id"] = 4u,
            },
            [.. Shapes(tokens.Length).Select(shape => new GgufTensorSource(
                shape.Name, GgmlType.F32, shape.Dimensions, stream => stream.Write(MemoryMarshal.AsBytes<float>(Values(random, shape.Name, shape.Dimensions)))))]);
    }

    private IEnumerable<(string Name, long[] Dimensions)> Shapes(int vocabulary)
    {
        yield return ("token_embd.weight", [Width, vocabulary]);
        yield return ("token_types.weight", [Width, 2]);
        yield return ("position_embd.weight", [Width, Context]);
        foreach (var norm in Affine("token_embd_norm", null, Width)) yield return norm;
        for (var layer = 0; layer < Layers; layer++)
        {
            var block = $"blk.{layer}.";
            foreach (var name in new[] { "attn_q", "attn_k", "attn_v", "attn_output" })
                foreach (var part in Affine(block + name, Width, Width)) yield return part;
            foreach (var part in Affine($"{block}attn_output_norm", null, Width)) yield return part;
            foreach (var part in Affine($"{block}ffn_up", Width, HiddenWidth)) yield return part;
            foreach (var part in Affine($"{block}ffn_down", HiddenWidth, Width)) yield return part;
            foreach (var part in Affine($"{block}layer_output_norm", null, Width)) yield return part;
        }
        if (Pooling != 4) yield break;
        foreach (var part in Affine("cls", Width, Width)) yield return part;
        foreach (var part in Affine("cls.output", Width, 1)) yield return part;
    }

    private static IEnumerable<(string Name, long[] Dimensions)> Affine(string name, int? rowLength, int rows) =>
        [($"{name}.weight", rowLength is { } length ? [length, rows] : [rows]), ($"{name}.bias", [rows])];

    private static float[] Values(Random random, string name, long[] dimensions)
    {
        var mean = name.Contains("norm.weight", StringComparison.Ordinal) ? 1f : 0;
        return [.. Enumerable.Range(0, (int)dimensions.Aggregate(1L, (a, b) => a * b)).Select(_ => mean + (((random.NextSingle() * 2) - 1) * 0.3f))];
    }
}
