using System.Globalization;
using System.Runtime.InteropServices;
using ModelOps.ModelFiles.Gguf;

namespace ModelOps.Services.Tests.Ggml;

/// <summary>A seeded random model of the Llama architecture with a byte-level vocabulary, small enough to decode in microseconds.</summary>
internal sealed record TinyGguf
{
    public const int BeginOfTurn = 1;
    public const int EndOfTurn = 2;
    public const string ChatTemplate = "{% for message in messages %}{{ message.content }}{% endfor %}";

    public int Width { get; init; } = 256;
    public int Layers { get; init; } = 2;
    public int Heads { get; init; } = 4;
    public int KeyValueHeads { get; init; } = 2;
    public int HiddenWidth { get; init; } = 512;
    public int ContextLength { get; init; } = 512;
    public int Seed { get; init; } = 1;

    public void Write(string path)
    {
        var random = new Random(Seed);
        GgufWriter.Write(path, Metadata(), [.. Tensors().Select(tensor => new GgufTensorSource(
            tensor.Name, GgmlType.F32, tensor.Shape, stream => stream.Write(MemoryMarshal.AsBytes<float>(tensor.Values(random)))))]);
    }

    private IEnumerable<KeyValuePair<string, object>> Metadata()
    {
        var alphabet = Alphabet();
        yield return new("general.architecture", "llama");
        yield return new("general.name", "tiny");
        yield return new("llama.block_count", (uint)Layers);
        yield return new("llama.context_length", (uint)ContextLength);
        yield return new("llama.embedding_length", (uint)Width);
        yield return new("llama.feed_forward_length", (uint)HiddenWidth);
        yield return new("llama.attention.head_count", (uint)Heads);
        yield return new("llama.attention.head_count_kv", (uint)KeyValueHeads);
        yield return new("llama.attention.layer_norm_rms_epsilon", 1e-5f);
        yield return new("llama.rope.dimension_count", (uint)(Width / Heads));
        yield return new("tokenizer.ggml.model", "gpt2");
        yield return new("tokenizer.ggml.pre", "smollm");
        yield return new("tokenizer.ggml.tokens", (string[])["<|endoftext|>", "<|im_start|>", "<|im_end|>", .. alphabet]);
        yield return new("tokenizer.ggml.token_type", (int[])[3, 3, 3, .. alphabet.Select(_ => 1)]);
        yield return new("tokenizer.ggml.merges", (string[])[$"{alphabet['h']} {alphabet['e']}"]);
        yield return new("tokenizer.ggml.bos_token_id", (uint)BeginOfTurn);
        yield return new("tokenizer.ggml.eos_token_id", (uint)EndOfTurn);
        yield return new("tokenizer.ggml.add_bos_token", false);
        yield return new("tokenizer.chat_template", ChatTemplate);
    }

    private IEnumerable<Tensor> Tensors()
    {
        var keyValueWidth = Width / Heads * KeyValueHeads;
        yield return Weight("token_embd.weight", Width, 3 + 256, 1);
        yield return new("output.weight", [Width, 3 + 256], Printable);
        yield return Norm("output_norm.weight");
        for (var layer = 0; layer < Layers; layer++)
        {
            var block = string.Create(CultureInfo.InvariantCulture, $"blk.{layer}");
            yield return Norm($"{block}.attn_norm.weight");
            yield return Weight($"{block}.attn_q.weight", Width, Width);
            yield return Weight($"{block}.attn_k.weight", Width, keyValueWidth);
            yield return Weight($"{block}.attn_v.weight", Width, keyValueWidth);
            yield return Weight($"{block}.attn_output.weight", Width, Width);
            yield return Norm($"{block}.ffn_norm.weight");
            yield return Weight($"{block}.ffn_gate.weight", Width, HiddenWidth);
            yield return Weight($"{block}.ffn_up.weight", Width, HiddenWidth);
            yield return Weight($"{block}.ffn_down.weight", HiddenWidth, Width);
        }
    }

    /// <summary>Every token but ASCII's printable ones scores 0, which a greedy sampler then never chooses.</summary>
    private float[] Printable(Random random)
    {
        var rows = new float[Width * (3 + 256)];
        foreach (ref var weight in rows.AsSpan((3 + ' ') * Width, ('~' - ' ' + 1) * Width)) weight = random.NextSingle() * 2 - 1;
        return rows;
    }

    private Tensor Norm(string name) => new(name, [Width], _ => [.. Enumerable.Repeat(1f, Width)]);

    private static Tensor Weight(string name, int rowLength, int rows, float? scale = null)
    {
        var width = scale ?? 2 / MathF.Sqrt(rowLength);
        return new(name, [rowLength, rows], random =>
            [.. Enumerable.Range(0, rowLength * rows).Select(_ => (random.NextSingle() * 2 - 1) * width)]);
    }

    /// <summary>GPT-2's printable stand-ins for the 256 bytes.</summary>
    private static string[] Alphabet()
    {
        var next = 256;
        return [.. Enumerable.Range(0, 256).Select(value =>
            ((char)(value is >= 33 and <= 126 or >= 161 and <= 172 or >= 174 ? value : next++)).ToString())];
    }

    private sealed record Tensor(string Name, long[] Shape, Func<Random, float[]> Values);
}
