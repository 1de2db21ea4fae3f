using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace ModelOps.ModelFiles.Tokenizers;

/// <summary>Writes a tokenizer.json in the form and key order of Hugging Face's tokenizers library.</summary>
internal static class TokenizerJsonWriter
{
    private static readonly JsonWriterOptions options = new() { Indented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    public static void Write(TokenizerJson tokenizer, Stream stream)
    {
        using var writer = new Utf8JsonWriter(stream, options);
        writer.WriteStartObject();
        writer.WriteString("version", "1.0");
        writer.WriteNull("truncation");
        writer.WriteNull("padding");
        WriteAddedTokens(writer, tokenizer.AddedTokens);
        WriteList(writer, "normalizer", "normalizers", tokenizer.Normalizer, WriteNormalizer);
        WriteList(writer, "pre_tokenizer", "pretokenizers", tokenizer.PreTokenizer, WriteStep);
        WritePostProcessor(writer, tokenizer);
        writer.WritePropertyName("decoder");
        WriteDecoder(writer, tokenizer);
        WriteModel(writer, tokenizer);
        writer.WriteEndObject();
    }

    private static void WriteAddedTokens(Utf8JsonWriter writer, IReadOnlyList<AddedToken> tokens)
    {
        writer.WriteStartArray("added_tokens");
        foreach (var token in tokens)
        {
            writer.WriteStartObject();
            writer.WriteNumber("id", token.Id);
            writer.WriteString("content", token.Content);
            writer.WriteBoolean("single_word", token.SingleWord);
            writer.WriteBoolean("lstrip", token.LeftStrip);
            writer.WriteBoolean("rstrip", token.RightStrip);
            writer.WriteBoolean("normalized", token.Normalized);
            writer.WriteBoolean("special", token.Special);
            writer.WriteEndObject();
        }
        writer.WriteEndArray();
    }

    /// <summary>No item is null, one stands for itself, more are a Sequence.</summary>
    private static void WriteList<T>(Utf8JsonWriter writer, string key, string itemsKey, IReadOnlyList<T> items, Action<Utf8JsonWriter, T> write)
    {
        writer.WritePropertyName(key);
        if (items.Count == 0)
        {
            writer.WriteNullValue();
            return;
        }
        if (items.Count == 1)
        {
            write(writer, items[0]);
            return;
        }
        writer.WriteStartObject();
        writer.WriteString("type", "Sequence");
        writer.WriteStartArray(itemsKey);
        foreach (var item in items)
            write(writer, item);
        writer.WriteEndArray();
        writer.WriteEndObject();
    }

    private static void WriteNormalizer(Utf8JsonWriter writer, NormalizerStep step)
    {
        writer.WriteStartObject();
        switch (step)
        {
            case NormalizerStep.Canonical canonical:
                writer.WriteString("type", canonical.Form switch
                {
                    NormalizationForm.FormC => "NFC",
                    NormalizationForm.FormD => "NFD",
                    _ => throw new ArgumentOutOfRangeException(nameof(step), canonical.Form, "Only canonical normalization is supported."),
                });
                break;
            case NormalizerStep.Prepend prepend:
                writer.WriteString("type", "Prepend");
                writer.WriteString("prepend", prepend.Text);
                break;
            case NormalizerStep.Replace replace:
                WriteReplace(writer, replace.Text, replace.With);
                break;
        }
        writer.WriteEndObject();
    }

    private static void WriteReplace(Utf8JsonWriter writer, string text, string with)
    {
        writer.WriteString("type", "Replace");
        writer.WriteStartObject("pattern");
        writer.WriteString("String", text);
        writer.WriteEndObject();
        writer.WriteString("content", with);
    }

    private static void WriteDecoder(Utf8JsonWriter writer, TokenizerJson tokenizer)
    {
        if (tokenizer.IsByteLevel)
        {
            WriteByteLevel(writer, addPrefixSpace: true, useRegex: true);
            return;
        }
        writer.WriteStartObject();
        writer.WriteString("type", "Sequence");
        writer.WriteStartArray("decoders");
        writer.WriteStartObject();
        WriteReplace(writer, PreTokenizer.SpaceSymbol.ToString(), " ");
        writer.WriteEndObject();
        foreach (var type in (string[])["ByteFallback", "Fuse"])
        {
            writer.WriteStartObject();
            writer.WriteString("type", type);
            writer.WriteEndObject();
        }
        if (tokenizer.StripsLeadingSpace)
        {
            writer.WriteStartObject();
            writer.WriteString("type", "Strip");
            writer.WriteString("content", " ");
            writer.WriteNumber("start", 1);
            writer.WriteNumber("stop", 0);
            writer.WriteEndObject();
        }
        writer.WriteEndArray();
        writer.WriteEndObject();
    }

    private static void WriteStep(Utf8JsonWriter writer, PreTokenizerStep step)
    {
        switch (step)
        {
            case PreTokenizerStep.ByteLevel byteLevel:
                WriteByteLevel(writer, byteLevel.AddPrefixSpace, byteLevel.UseRegex);
                break;
            case PreTokenizerStep.Digits digits:
                writer.WriteStartObject();
                writer.WriteString("type", "Digits");
                writer.WriteBoolean("individual_digits", digits.Individual);
                writer.WriteEndObject();
                break;
            case PreTokenizerStep.Split split:
                writer.WriteStartObject();
                writer.WriteString("type", "Split");
                writer.WriteStartObject("pattern");
                writer.WriteString("Regex", split.Pattern);
                writer.WriteEndObject();
                writer.WriteString("behavior", split.Behavior.ToString());
                writer.WriteBoolean("invert", false);
                writer.WriteEndObject();
                break;
            case PreTokenizerStep.Metaspace metaspace:
                writer.WriteStartObject();
                writer.WriteString("type", "Metaspace");
                writer.WriteString("replacement", PreTokenizer.SpaceSymbol.ToString());
                writer.WriteString("prepend_scheme", metaspace.Prepend switch { PrependScheme.Always => "always", PrependScheme.First => "first", _ => "never" });
                writer.WriteBoolean("split", metaspace.Cuts);
                writer.WriteEndObject();
                break;
        }
    }

    private static void WriteByteLevel(Utf8JsonWriter writer, bool addPrefixSpace, bool useRegex)
    {
        writer.WriteStartObject();
        writer.WriteString("type", "ByteLevel");
        writer.WriteBoolean("add_prefix_space", addPrefixSpace);
        writer.WriteBoolean("trim_offsets", true);
        writer.WriteBoolean("use_regex", useRegex);
        writer.WriteEndObject();
    }

    private static void WritePostProcessor(Utf8JsonWriter writer, TokenizerJson tokenizer)
    {
        if (tokenizer.TokensBefore.Count + tokenizer.TokensAfter.Count == 0)
        {
            writer.WriteNull("post_processor");
            return;
        }
        writer.WriteStartObject("post_processor");
        writer.WriteString("type", "TemplateProcessing");
        WriteTemplate(writer, "single", tokenizer, ["A"]);
        WriteTemplate(writer, "pair", tokenizer, ["A", "B"]);
        writer.WriteStartObject("special_tokens");
        foreach (var token in tokenizer.TokensBefore.Concat(tokenizer.TokensAfter).Distinct())
        {
            writer.WriteStartObject(token);
            writer.WriteString("id", token);
            writer.WriteStartArray("ids");
            writer.WriteNumberValue(tokenizer.AddedTokens.Single(added => added.Content == token).Id);
            writer.WriteEndArray();
            writer.WriteStartArray("tokens");
            writer.WriteStringValue(token);
            writer.WriteEndArray();
            writer.WriteEndObject();
        }
        writer.WriteEndObject();
        writer.WriteEndObject();
    }

    private static void WriteTemplate(Utf8JsonWriter writer, string key, TokenizerJson tokenizer, string[] sequences)
    {
        writer.WriteStartArray(key);
        for (var type = 0; type < sequences.Length; type++)
        {
            foreach (var token in tokenizer.TokensBefore)
                WriteTemplateItem(writer, "SpecialToken", token, type);
            WriteTemplateItem(writer, "Sequence", sequences[type], type);
            foreach (var token in tokenizer.TokensAfter)
                WriteTemplateItem(writer, "SpecialToken", token, type);
        }
        writer.WriteEndArray();
    }

    private static void WriteTemplateItem(Utf8JsonWriter writer, string kind, string id, int type)
    {
        writer.WriteStartObject();
        writer.WriteStartObject(kind);
        writer.WriteString("id", id);
        writer.WriteNumber("type_id", type);
        writer.WriteEndObject();
        writer.WriteEndObject();
    }

    private static void WriteModel(Utf8JsonWriter writer, TokenizerJson tokenizer)
    {
        writer.WriteStartObject("model");
        writer.WriteString("type", "BPE");
        writer.WriteNull("dropout");
        writer.WriteString("unk_token", tokenizer.UnknownToken);
        writer.WriteNull("continuing_subword_prefix");
        writer.WriteNull("end_of_word_suffix");
        writer.WriteBoolean("fuse_unk", tokenizer.FusesUnknown);
        writer.WriteBoolean("byte_fallback", tokenizer.ByteFallback);
        writer.WriteBoolean("ignore_merges", tokenizer.IgnoreMerges);
        writer.WriteStartObject("vocab");
        foreach (var (token, id) in tokenizer.Vocabulary.OrderBy(entry => entry.Value))
            writer.WriteNumber(token, id);
        writer.WriteEndObject();
        writer.WriteStartArray("merges");
        foreach (var merge in tokenizer.Merges)
        {
            writer.WriteStartArray();
            writer.WriteStringValue(merge.Left);
            writer.WriteStringValue(merge.Right);
            writer.WriteEndArray();
        }
        writer.WriteEndArray();
        writer.WriteEndObject();
    }
}
