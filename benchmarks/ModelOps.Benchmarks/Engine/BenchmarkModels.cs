using System.Runtime.InteropServices;
using ModelOps.Ggml;
using ModelOps.ModelFiles;
using ModelOps.ModelFiles.Conversion;
using ModelOps.ModelFiles.Gguf;

namespace ModelOps.Benchmarks.Engine;

/// <summary>GGUF files to measure on: the bundled model, and random weights in the shape of SmolLM2-135M.</summary>
internal static class BenchmarkModels
{
    private const int Width = 576;
    private const int Layers = 30;
    private const int Heads = 9;
    private const int KeyValueHeads = 3;
    private const int HiddenWidth = 1536;
    private const int Vocabulary = 49_152;

    public static string Bundled(string modelFolder, string folder, QuantizationType type) => Quantized(
        Path.Combine(folder, "bundled.gguf"),
        path => GgufConversion.Convert(ModelFolder.Open(modelFolder), path, GgufWeightType.F32, new GgufDescription { Name = "bundled" }),
        type);

    public static string SmolLm(string folder, QuantizationType type) => Quantized(Path.Combine(folder, "smollm2-135m.gguf"), WriteRandom, type);

    private static string Quantized(string source, Action<string> write, QuantizationType type)
    {
        if (!File.Exists(source)) write(source);
        var target = Path.ChangeExtension(source, $"{type}.gguf");
        if (!File.Exists(target)) GgufQuantizer.Quantize(source, target, type, Environment.ProcessorCount);
        return target;
    }

    private static void WriteRandom(string path)
    {
        var random = new Random(1);
        GgufWriter.Write(path, Metadata(), [.. Shapes().Select(tensor => new GgufTensorSource(
            tensor.Name, tensor.Shape.Length == 1 ? GgmlType.F32 : GgmlType.F16, tensor.Shape, stream => WriteValues(stream, tensor.Shape, random)))]);
    }

    private static void WriteValues(Stream stream, long[] shape, Random random)
    {
        if (shape.Length == 1)
        {
            stream.Write(MemoryMarshal.AsBytes<float>([.. Enumerable.Repeat(1f, (int)shape[0])]));
            return;
        }
        var scale = 2 / Math.Sqrt(shape[0]);
        var row = new Half[shape[0]];
        for (var i = 0; i < shape[1]; i++)
        {
            for (var j = 0; j < row.Length; j++) row[j] = (Half)(((random.NextDouble() * 2) - 1) * scale);
            stream.Write(MemoryMarshal.AsBytes<Half>(row));
        }
    }

    private static IEnumerable<(string Name, long[] Shape)> Shapes()
    {
        yield return ("token_embd.weight", [Width, Vocabulary]);
        yield return ("output_norm.weight", [Width]);
        for (var layer = 0; layer < Layers; layer++)
        {
            yield return ($"blk.{layer}.attn_norm.weight", [Width]);
            yield return ($"blk.{layer}.attn_q.weight", [Width, Width]);
            yield return ($"blk.{layer}.attn_k.weight", [Width, Width / Heads * KeyValueHeads]);
            yield return ($"blk.{layer}.attn_v.weight", [Width, Width / Heads * KeyValueHeads]);
            yield return ($"blk.{layer}.attn_output.weight", [Width, Width]);
            yield return ($"blk.{layer}.ffn_norm.weight", [Width]);
            yield return ($"blk.{layer}.ffn_gate.weight", [Width, HiddenWidth]);
            yield return ($"blk.{layer}.ffn_up.weight", [Width, HiddenWidth]);
            yield return ($"blk.{layer}.ffn_down.weight", [HiddenWidth, Width]);
        }
    }

    private static Dictionary<string, object> Metadata()
    {
        string[] bytes = [.. Enumerable.Range(0, 256).Select(ByteCharacter)];
        string[] pairs = [.. bytes.SelectMany(first => bytes.Select(second => $"{first} {second}")).Take(Vocabulary - bytes.Length - 3)];
        return new()
        {
            ["general.architecture"] = "llama",
            ["general.name"] = "random in the shape of SmolLM2-135M",
            ["llama.block_count"] = (uint)Layers,
            ["llama.context_length"] = 8192u,
            ["llama.embedding_length"] = (uint)Width,
            ["llama.feed_forward_length"] = (uint)HiddenWidth,
            ["llama.attention.head_count"] = (uint)Heads,
            ["llama.attention.head_count_kv"] = (uint)KeyValueHeads,
            ["llama.attention.layer_norm_rms_epsilon"] = 1e-5f,
            ["llama.rope.dimension_count"] = (uint)(Width / Heads),
            ["llama.rope.freq_base"] = 100_000f,
            ["tokenizer.ggml.model"] = "gpt2",
            ["tokenizer.ggml.pre"] = "smollm",
            ["tokenizer.ggml.tokens"] = (string[])["<|endoftext|>", "<|im_start|>", "<|im_end|>", .. bytes, .. pairs.Select(pair => pair.Replace(" ", "", StringComparison.Ordinal))],
            ["tokenizer.ggml.token_type"] = (int[])[3, 3, 3, .. Enumerable.Repeat(1, Vocabulary - 3)],
            ["tokenizer.ggml.merges"] = pairs,
            ["tokenizer.ggml.bos_token_id"] = 1u,
            ["tokenizer.ggml.eos_token_id"] = 2u,
        };
    }

    // GPT-2's printable stand-ins for bytes.
    private static string ByteCharacter(int value)
    {
        static bool IsPrintable(int code) => code is (>= 33 and <= 126) or (>= 161 and <= 172) or >= 174;
        return ((char)(IsPrintable(value) ? value : 256 + Enumerable.Range(0, value).Count(code => !IsPrintable(code)))).ToString();
    }
}
