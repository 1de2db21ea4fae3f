using System.Text;
using ModelOps.ModelFiles.Tokenizers;

namespace ModelOps.ModelFiles.Conversion;

/// <summary>Finds the name under which llama.cpp has a tokenizer's way of splitting text built in (<c>tokenizer.ggml.pre</c>).</summary>
internal static class GgufPreTokenizer
{
    private const string Llama3Pattern =
        @"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

    private const string Qwen2Pattern =
        @"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

    /// <returns>Null where llama.cpp has none; the reason is added to <paramref name="errors"/>.</returns>
    public static string? NameOf(TokenizerJson tokenizer, List<string> errors)
    {
        // llama.cpp does not normalize; Qwen's NFC is what its own converter leaves out too.
        foreach (var step in tokenizer.Normalizer.Where(step => step is not NormalizerStep.Canonical { Form: NormalizationForm.FormC }))
            errors.Add($"llama.cpp cannot normalize text ({step})");

        string? name = tokenizer.PreTokenizer switch
        {
            [PreTokenizerStep.ByteLevel { AddPrefixSpace: false, UseRegex: true }] => "gpt-2",
            [PreTokenizerStep.Digits { Individual: true }, PreTokenizerStep.ByteLevel { AddPrefixSpace: false, UseRegex: true }] =>
                "smollm",
            [PreTokenizerStep.Split { Pattern: Llama3Pattern }, PreTokenizerStep.ByteLevel { AddPrefixSpace: false, UseRegex: false }] =>
                tokenizer.IgnoreMerges ? "llama-bpe" : "smaug-bpe",
            [PreTokenizerStep.Split { Pattern: Qwen2Pattern }, PreTokenizerStep.ByteLevel { AddPrefixSpace: false, UseRegex: false }] =>
                "qwen2",
            _ => null,
        };
        if (name is null) errors.Add($"llama.cpp has no pre-tokenizer for {string.Join(" + ", tokenizer.PreTokenizer)}");
        else if (tokenizer.IgnoreMerges && name != "llama-bpe") errors.Add($"llama.cpp cannot ignore merges with the pre-tokenizer {name}");
        return name;
    }
}
