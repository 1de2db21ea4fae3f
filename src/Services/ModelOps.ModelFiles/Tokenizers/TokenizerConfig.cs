using System.Text.Encodings.Web;
using System.Text.Json;

namespace ModelOps.ModelFiles.Tokenizers;

/// <summary>What tokenizer_config.json and the files beside it say about a model's special tokens and its chat template.</summary>
public sealed record TokenizerConfig
{
    private const string ConfigFile = "tokenizer_config.json";
    private const string SpecialTokensFile = "special_tokens_map.json";
    private const string ChatTemplateFile = "chat_template.jinja";
    private const string DefaultTemplateName = "default";

    private static readonly JsonWriterOptions writerOptions = new() { Indented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    public string? BosToken { get; init; }

    public string? EosToken { get; init; }

    public string? PadToken { get; init; }

    /// <summary>Jinja source. Of several named templates the one named "default"; chat_template.jinja wins over tokenizer_config.json.</summary>
    public string? ChatTemplate { get; init; }

    /// <summary>The longest input the model takes, in tokens.</summary>
    public int? ModelMaxLength { get; init; }

    /// <summary>Reads what <paramref name="modelFolder"/> has; without any of the files everything is null.</summary>
    /// <exception cref="InvalidDataException">A file is not well-formed; the message names it.</exception>
    public static TokenizerConfig Load(string modelFolder)
    {
        using var config = ReadObject(Path.Combine(modelFolder, ConfigFile));
        using var specialTokens = ReadObject(Path.Combine(modelFolder, SpecialTokensFile));
        var templateFile = Path.Combine(modelFolder, ChatTemplateFile);
        try
        {
            return new TokenizerConfig
            {
                BosToken = Token("bos_token"),
                EosToken = Token("eos_token"),
                PadToken = Token("pad_token"),
                ChatTemplate = File.Exists(templateFile) ? File.ReadAllText(templateFile) : DefaultTemplate(Property(config, "chat_template")),
                ModelMaxLength = Property(config, "model_max_length") is { ValueKind: JsonValueKind.Number } length
                    && length.TryGetInt32(out var tokens) ? tokens : null, // transformers writes 1e30 for "unknown"
            };
        }
        catch (InvalidOperationException exception) // a string that escapes half a surrogate pair
        {
            throw new InvalidDataException($"{ConfigFile} or {SpecialTokensFile} in {modelFolder} holds a string that is not Unicode text.", exception);
        }

        string? Token(string key) => TokenText(Property(config, key)) ?? TokenText(Property(specialTokens, key));
    }

    /// <summary>Writes tokenizer_config.json into <paramref name="folder"/>.</summary>
    public void Save(string folder)
    {
        using var stream = File.Create(Path.Combine(folder, ConfigFile));
        using var writer = new Utf8JsonWriter(stream, writerOptions);
        writer.WriteStartObject();
        writer.WriteString("tokenizer_class", "PreTrainedTokenizerFast");
        writer.WriteString("bos_token", BosToken);
        writer.WriteString("eos_token", EosToken);
        writer.WriteString("pad_token", PadToken);
        writer.WriteBoolean("clean_up_tokenization_spaces", false);
        if (ModelMaxLength is { } length)
            writer.WriteNumber("model_max_length", length);
        if (ChatTemplate is not null)
            writer.WriteString("chat_template", ChatTemplate);
        writer.WriteEndObject();
    }

    private static JsonDocument? ReadObject(string path)
    {
        if (!File.Exists(path))
            return null;
        try
        {
            var document = JsonDocument.Parse(File.ReadAllBytes(path));
            if (document.RootElement.ValueKind == JsonValueKind.Object)
                return document;
            document.Dispose();
            throw new InvalidDataException($"{path} does not hold a JSON object.");
        }
        catch (JsonException exception)
        {
            throw new InvalidDataException($"{path} is not JSON: {exception.Message}", exception);
        }
    }

    private static JsonElement? Property(JsonDocument? document, string key) =>
        document is not null && document.RootElement.TryGetProperty(key, out var value) ? value : null;

    /// <summary>A token is written as its text or as an object that describes the added token.</summary>
    private static string? TokenText(JsonElement? token) => token switch
    {
        { ValueKind: JsonValueKind.String } text => text.GetString(),
        { ValueKind: JsonValueKind.Object } described when described.TryGetProperty("content", out var content) => TokenText(content),
        _ => null,
    };

    private static string? DefaultTemplate(JsonElement? template) => template switch
    {
        { ValueKind: JsonValueKind.String } source => source.GetString(),
        { ValueKind: JsonValueKind.Array } named => named.EnumerateArray().Where(IsDefault).Select(Source).FirstOrDefault(),
        _ => null,
    };

    private static bool IsDefault(JsonElement entry) =>
        entry.ValueKind == JsonValueKind.Object && entry.TryGetProperty("name", out var name)
        && name.ValueKind == JsonValueKind.String && name.GetString() == DefaultTemplateName;

    private static string? Source(JsonElement entry) => entry.TryGetProperty("template", out var source) ? TokenText(source) : null;
}
