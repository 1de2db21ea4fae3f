using System.Runtime.InteropServices;
using System.Text;
using ModelOps.Ggml.Native;

namespace ModelOps.Ggml;

/// <summary>
/// Metadata to which llama.cpp answers with an assertion, which ends the process, or by reading past an array's end. Everything else that
/// can be wrong it reports itself. Found by mutating models; see the tests.
/// </summary>
internal static unsafe class GgufMetadata
{
    private const int MaxLayers = 512; // LLAMA_MAX_LAYERS
    private const string Tokens = "tokenizer.ggml.tokens";

    public static IReadOnlyList<string> Errors(GgufHandle gguf)
    {
        var architecture = Find(gguf, "general.architecture", GgufType.String);
        return architecture is { } key
            ? [.. HyperparameterErrors(gguf, NativeBuild.Text(NativeGgml.StringValue(gguf, key))), .. VocabularyErrors(gguf)]
            : ["it does not say its architecture (general.architecture)"];
    }

    private static IEnumerable<string> HyperparameterErrors(GgufHandle gguf, string architecture)
    {
        var layers = $"{architecture}.block_count";
        if (Find(gguf, layers, GgufType.UInt32) is { } count && NativeGgml.UInt32Value(gguf, count) is 0 or > MaxLayers)
            yield return $"{layers} is {NativeGgml.UInt32Value(gguf, count)}: 1 to {MaxLayers} are possible";

        foreach (var norm in new[] { "layer_norm_rms_epsilon", "layer_norm_epsilon", "group_norm_epsilon" })
        {
            var name = $"{architecture}.attention.{norm}";
            if (Find(gguf, name, GgufType.Float32) is { } epsilon && !(NativeGgml.Float32Value(gguf, epsilon) >= 0))
                yield return $"{name} is {NativeGgml.Float32Value(gguf, epsilon)}: at least 0";
        }
    }

    private static List<string> VocabularyErrors(GgufHandle gguf)
    {
        var tokens = NativeGgml.FindKey(gguf, Tokens);
        if (tokens < 0) return [];
        if (!IsArray(gguf, tokens, GgufType.String)) return [$"{Tokens} is no list of texts"];

        var errors = new List<string>();
        var length = (long)NativeGgml.ArrayLength(gguf, tokens);
        CheckLength(gguf, "tokenizer.ggml.scores", GgufType.Float32, length, errors);
        CheckLength(gguf, "tokenizer.ggml.token_type", GgufType.Int32, length, errors);
        if (FirstDuplicate(gguf, tokens, length) is { } duplicate) errors.Add($"{Tokens} has '{duplicate}' twice");
        return errors;
    }

    private static void CheckLength(GgufHandle gguf, string name, int type, long length, List<string> errors)
    {
        var key = NativeGgml.FindKey(gguf, name);
        if (key < 0) return;
        if (!IsArray(gguf, key, type)) errors.Add($"{name} is of the wrong type");
        else if ((long)NativeGgml.ArrayLength(gguf, key) != length)
            errors.Add($"{name} has {NativeGgml.ArrayLength(gguf, key)} entries for {length} tokens");
    }

    /// <summary>llama.cpp gives empty tokens names of their own; all others have to differ.</summary>
    private static string? FirstDuplicate(GgufHandle gguf, long tokens, long length)
    {
        var seen = new HashSet<string>((int)Math.Min(length, int.MaxValue));
        for (nuint i = 0; i < (nuint)length; i++)
        {
            var token = MemoryMarshal.CreateReadOnlySpanFromNullTerminated(NativeGgml.ArrayString(gguf, tokens, i));
            // Latin-1 keeps every byte apart, where UTF-8 would make all invalid ones the same.
            if (token.Length > 0 && !seen.Add(Encoding.Latin1.GetString(token))) return Encoding.UTF8.GetString(token);
        }
        return null;
    }

    public static string? Text(GgufHandle gguf, string name) =>
        Find(gguf, name, GgufType.String) is { } key ? NativeBuild.Text(NativeGgml.StringValue(gguf, key)) : null;

    public static long? Find(GgufHandle gguf, string name, int type)
    {
        var key = NativeGgml.FindKey(gguf, name);
        return key >= 0 && NativeGgml.ValueType(gguf, key) == type ? key : null;
    }

    private static bool IsArray(GgufHandle gguf, long key, int type) =>
        NativeGgml.ValueType(gguf, key) == GgufType.Array && NativeGgml.ArrayType(gguf, key) == type;
}
