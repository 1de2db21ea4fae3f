using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;

namespace ModelOps.ModelFiles.Tokenizers;

/// <summary>Reads one tokenizer.json and gathers everything that is wrong with it before it fails.</summary>
internal sealed class TokenizerJsonReader(string name)
{
    // The largest vocabularies in use have about 260,000 tokens; a hostile id must not allocate gigabytes.
    private const int MaximumTokenId = 1 << 22;
    private const int MaximumListedErrors = 10;

    private readonly List<string> malformed = [];
    private readonly List<string> unsupported = [];
    private readonly List<string> before = [];
    private readonly List<string> after = [];

    public TokenizerJson Read(JsonElement root)
    {
        if (root.ValueKind != JsonValueKind.Object)
            throw new InvalidDataException($"{name} is not a tokenizer.json: its root is {Kind(root)}, not an object.");

        var model = Section(root, "model");
        CheckModel(model);
        var vocabulary = ReadVocabulary(model);
        var addedTokens = ReadAddedTokens(root, vocabulary);
        ReadPostProcessor(Optional(root, "post_processor"), "post_processor", addedTokens);
        var preTokenizer = ReadPreTokenizer(root);
        var isByteLevel = preTokenizer is [.., PreTokenizerStep.ByteLevel];
        var result = new TokenizerJson
        {
            Vocabulary = vocabulary,
            Merges = ReadMerges(model, vocabulary),
            AddedTokens = addedTokens,
            Normalizer = ReadNormalizer(Optional(root, "normalizer"), "normalizer"),
            PreTokenizer = preTokenizer,
            ByteFallback = Flag(model, "byte_fallback", absent: false, "model"),
            UnknownToken = Text(model, "unk_token"),
            FusesUnknown = Flag(model, "fuse_unk", absent: false, "model"),
            StripsLeadingSpace = !isByteLevel && ReadDecoder(Optional(root, "decoder")),
            IgnoreMerges = Flag(model, "ignore_merges", absent: false, "model"),
            TokensBefore = before,
            TokensAfter = after,
        };
        if (isByteLevel)
            CheckByteLevel(Optional(root, "decoder"), result);
        ThrowOnFaults();
        return result;
    }

    private void CheckModel(JsonElement model)
    {
        if (Text(model, "type") is { } type && type != "BPE")
            unsupported.Add($"model type '{type}' (only BPE is)");
        foreach (var affix in (string[])["continuing_subword_prefix", "end_of_word_suffix"])
        {
            if (!string.IsNullOrEmpty(Text(model, affix)))
                unsupported.Add($"model.{affix}");
        }
        if (Optional(model, "dropout") is { ValueKind: JsonValueKind.Number } dropout && dropout.GetDouble() != 0)
            unsupported.Add("model.dropout");
    }

    private Dictionary<string, int> ReadVocabulary(JsonElement model)
    {
        var vocabulary = new Dictionary<string, int>();
        var ids = new HashSet<int>();
        if (Optional(model, "vocab") is not { ValueKind: JsonValueKind.Object } entries)
        {
            malformed.Add("model.vocab is not an object");
            return vocabulary;
        }
        foreach (var entry in entries.EnumerateObject())
        {
            if (!TryId(entry.Value, out var id))
                malformed.Add($"model.vocab: the id of '{entry.Name}' is not a whole number from 0 to {MaximumTokenId}");
            else if (!ids.Add(id))
                malformed.Add($"model.vocab: id {id} is given twice, the second time to '{entry.Name}'");
            else if (!vocabulary.TryAdd(entry.Name, id))
                malformed.Add($"model.vocab: '{entry.Name}' stands there twice");
        }
        return vocabulary;
    }

    private List<MergeRule> ReadMerges(JsonElement model, Dictionary<string, int> vocabulary)
    {
        var merges = new List<MergeRule>();
        if (Optional(model, "merges") is not { ValueKind: JsonValueKind.Array } entries)
        {
            malformed.Add("model.merges is not an array");
            return merges;
        }
        foreach (var entry in entries.EnumerateArray())
        {
            if (ReadMerge(entry) is not { } merge)
                malformed.Add($"model.merges[{merges.Count}] is neither \"left right\" nor [\"left\", \"right\"]");
            else if (MissingPart(merge, vocabulary) is { } missing)
                malformed.Add($"model.merges[{merges.Count}] needs the token '{missing}', which model.vocab lacks");
            else
                merges.Add(merge);
        }
        return merges;
    }

    private static MergeRule? ReadMerge(JsonElement entry)
    {
        string[] parts = entry.ValueKind switch
        {
            JsonValueKind.String => entry.GetString()!.Split(' '),
            JsonValueKind.Array => [.. entry.EnumerateArray().Select(item => AsText(item) ?? "")],
            _ => [],
        };
        return parts is [{ Length: > 0 } left, { Length: > 0 } right] ? new MergeRule(left, right) : null;
    }

    private static string? MissingPart(MergeRule merge, Dictionary<string, int> vocabulary) =>
        ((string[])[merge.Left, merge.Right, merge.Left + merge.Right]).FirstOrDefault(part => !vocabulary.ContainsKey(part));

    private List<AddedToken> ReadAddedTokens(JsonElement root, Dictionary<string, int> vocabulary)
    {
        var result = new List<AddedToken>();
        var owners = vocabulary.ToDictionary(entry => entry.Value, entry => entry.Key);
        var ids = new Dictionary<string, int>(vocabulary);
        foreach (var (entry, index) in Items(root, "added_tokens").Select((entry, index) => (entry, index)))
        {
            var where = $"added_tokens[{index}]";
            if (ReadAddedToken(entry, where) is not { } token)
                continue;
            if (!owners.TryAdd(token.Id, token.Content) && owners[token.Id] != token.Content)
                malformed.Add($"{where}: id {token.Id} of '{token.Content}' belongs to '{owners[token.Id]}'");
            else if (!ids.TryAdd(token.Content, token.Id) && ids[token.Content] != token.Id)
                malformed.Add($"{where}: '{token.Content}' has the ids {ids[token.Content]} and {token.Id}");
            else if (result.Exists(other => other.Id == token.Id))
                malformed.Add($"{where}: '{token.Content}' stands there twice");
            else
                result.Add(token);
        }
        return result;
    }

    private AddedToken? ReadAddedToken(JsonElement entry, string where)
    {
        if (entry.ValueKind != JsonValueKind.Object || Optional(entry, "id") is not { } idElement || !TryId(idElement, out var id)
            || Text(entry, "content") is not { Length: > 0 } content)
        {
            malformed.Add($"{where} has no content, or no id from 0 to {MaximumTokenId}");
            return null;
        }
        return new AddedToken(id, content)
        {
            Special = Flag(entry, "special", absent: false, where),
            SingleWord = Flag(entry, "single_word", absent: false, where),
            LeftStrip = Flag(entry, "lstrip", absent: false, where),
            RightStrip = Flag(entry, "rstrip", absent: false, where),
            Normalized = Flag(entry, "normalized", absent: false, where),
        };
    }

    private List<NormalizerStep> ReadNormalizer(JsonElement? normalizer, string where)
    {
        if (normalizer is not { } element)
            return [];
        switch (Text(element, "type"))
        {
            case "NFC": return [new NormalizerStep.Canonical(NormalizationForm.FormC)];
            case "NFD": return [new NormalizerStep.Canonical(NormalizationForm.FormD)];
            case "Prepend" when Text(element, "prepend") is { } text: return [new NormalizerStep.Prepend(text)];
            case "Replace" when Text(Section(element, "pattern"), "String") is { Length: > 0 } text && Text(element, "content") is { } with:
                return [new NormalizerStep.Replace(text, with)];
            case "Sequence":
                return [.. Items(element, "normalizers").SelectMany((item, index) => ReadNormalizer(item, $"{where}[{index}]"))];
            case var type:
                unsupported.Add($"{where} type '{type}'");
                return [];
        }
    }

    private List<PreTokenizerStep> ReadPreTokenizer(JsonElement root)
    {
        var steps = new List<PreTokenizerStep>();
        if (Optional(root, "pre_tokenizer") is { } element)
            AddSteps(element, "pre_tokenizer", steps);
        if (steps.SkipLast(1).Any(step => step is PreTokenizerStep.ByteLevel))
            unsupported.Add("a pre_tokenizer with a ByteLevel step before its last");
        return steps;
    }

    private void AddSteps(JsonElement element, string where, List<PreTokenizerStep> steps)
    {
        switch (Text(element, "type"))
        {
            case "Sequence":
                foreach (var (item, index) in Items(element, "pretokenizers").Select((item, index) => (item, index)))
                    AddSteps(item, $"{where}[{index}]", steps);
                break;
            case "Digits":
                steps.Add(new PreTokenizerStep.Digits(Flag(element, "individual_digits", absent: false, where)));
                break;
            case "ByteLevel":
                steps.Add(new PreTokenizerStep.ByteLevel(
                    Flag(element, "add_prefix_space", absent: true, where), Flag(element, "use_regex", absent: true, where)));
                break;
            case "Metaspace":
                steps.Add(ReadMetaspace(element, where));
                break;
            case "Split" when ReadSplit(element, where) is { } split:
                steps.Add(split);
                break;
            case "Split":
                break;
            case var type:
                unsupported.Add($"{where} type '{type}'");
                break;
        }
    }

    private PreTokenizerStep.Split? ReadSplit(JsonElement element, string where)
    {
        var pattern = Section(element, "pattern");
        var regex = Text(pattern, "Regex") ?? (Text(pattern, "String") is { } literal ? Regex.Escape(literal) : null);
        var behavior = Text(element, "behavior");
        var inverted = Flag(element, "invert", absent: false, where);
        if (regex is null)
            malformed.Add($"{where}.pattern has neither Regex nor String");
        else if (BehaviorOf(behavior, inverted) is not { } supported)
            unsupported.Add($"{where} behavior '{behavior}' with invert {(inverted ? "true" : "false")}");
        else if (RegexFault(regex) is { } fault)
            unsupported.Add($"{where} regex '{regex}' ({fault})");
        else
            return new PreTokenizerStep.Split(regex, supported);
        return null;
    }

    /// <summary>"The matches are pieces" is said in two ways: isolated, and removed when inverted.</summary>
    private static SplitBehavior? BehaviorOf(string? name, bool inverted) => (name, inverted) switch
    {
        ("Isolated", false) or ("Removed", true) => SplitBehavior.Isolated,
        ("MergedWithPrevious", false) => SplitBehavior.MergedWithPrevious,
        ("MergedWithNext", false) => SplitBehavior.MergedWithNext,
        _ => null,
    };

    /// <summary>Older files say add_prefix_space where newer ones have a prepend_scheme.</summary>
    private PreTokenizerStep.Metaspace ReadMetaspace(JsonElement element, string where)
    {
        CheckSpaceSymbol(element, "replacement", where);
        var scheme = Text(element, "prepend_scheme") ?? (Flag(element, "add_prefix_space", absent: true, where) ? "always" : "never");
        PrependScheme? prepend = scheme switch
        {
            "always" => PrependScheme.Always,
            "first" => PrependScheme.First,
            "never" => PrependScheme.Never,
            _ => null,
        };
        if (prepend is null)
            unsupported.Add($"{where} prepend_scheme '{scheme}'");
        return new PreTokenizerStep.Metaspace(prepend ?? PrependScheme.Never, Flag(element, "split", absent: true, where));
    }

    private void CheckSpaceSymbol(JsonElement element, string key, string where)
    {
        if (Text(element, key) != PreTokenizer.SpaceSymbol.ToString())
            unsupported.Add($"{where} {key} '{Text(element, key)}'");
    }

    private static string? RegexFault(string pattern)
    {
        try
        {
            _ = new Regex(pattern, RegexOptions.CultureInvariant, TimeSpan.FromSeconds(1));
            return null;
        }
        catch (ArgumentException exception)
        {
            return exception.Message;
        }
    }

    private void ReadPostProcessor(JsonElement? processor, string where, List<AddedToken> addedTokens)
    {
        if (processor is not { } element)
            return;
        switch (Text(element, "type"))
        {
            case "ByteLevel": // moves offsets only
                break;
            case "Sequence":
                foreach (var (item, index) in Items(element, "processors").Select((item, index) => (item, index)))
                    ReadPostProcessor(item, $"{where}[{index}]", addedTokens);
                break;
            case "TemplateProcessing":
                ReadTemplate(element, where, addedTokens);
                break;
            case var type:
                unsupported.Add($"{where} type '{type}'");
                break;
        }
    }

    private void ReadTemplate(JsonElement element, string where, List<AddedToken> addedTokens)
    {
        var target = before;
        foreach (var item in Items(element, "single"))
        {
            if (Optional(item, "SpecialToken") is { } special && Text(special, "id") is { } content
                && addedTokens.Exists(token => token.Content == content))
                target.Add(content);
            else if (Optional(item, "Sequence") is not null && target != after)
                target = after;
            else
                malformed.Add($"{where}.single is not added tokens around one Sequence");
        }
    }

    private void CheckByteLevel(JsonElement? decoder, TokenizerJson result)
    {
        var type = decoder is { } element ? Text(element, "type") : null;
        if (type != "ByteLevel")
            unsupported.Add(type is null ? "a byte-level tokenizer without a decoder" : $"decoder type '{type}' for a byte-level tokenizer");
        if (result.ByteFallback)
            unsupported.Add("model.byte_fallback for a byte-level tokenizer");
        if (result.Normalizer.Any(step => step is not NormalizerStep.Canonical))
            unsupported.Add("a normalizer other than NFC and NFD for a byte-level tokenizer");
        if (result.PreTokenizer.Any(step => step is PreTokenizerStep.Metaspace))
            unsupported.Add("a Metaspace step for a byte-level tokenizer");
    }

    /// <summary>SentencePiece's way back to text, in its two spellings.</summary>
    /// <returns>Whether a space at the start is taken away.</returns>
    private bool ReadDecoder(JsonElement? decoder)
    {
        if (decoder is not { } element)
        {
            unsupported.Add("a tokenizer without a decoder");
            return false;
        }
        if (Text(element, "type") == "Metaspace")
            return ReadMetaspace(element, "decoder").Prepend != PrependScheme.Never;
        if (Text(element, "type") != "Sequence")
        {
            unsupported.Add($"decoder type '{Text(element, "type")}'");
            return false;
        }
        JsonElement[] steps = [.. Items(element, "decoders")];
        string?[] types = [.. steps.Select(step => Text(step, "type"))];
        if (types is not (["Replace", "ByteFallback", "Fuse"] or ["Replace", "ByteFallback", "Fuse", "Strip"]))
        {
            unsupported.Add($"a decoder of {string.Join(", ", types)}");
            return false;
        }
        CheckSpaceSymbol(Section(steps[0], "pattern"), "String", "decoder Replace");
        if (Text(steps[0], "content") != " ")
            unsupported.Add($"decoder Replace with '{Text(steps[0], "content")}'");
        if (steps is [_, _, _, var strip] && (Text(strip, "content") != " " || Number(strip, "start") != 1 || Number(strip, "stop") != 0))
            unsupported.Add("a decoder that strips other than one space at the start");
        return types.Length == 4;
    }

    private static int? Number(JsonElement parent, string key) =>
        Optional(parent, key) is { ValueKind: JsonValueKind.Number } value && value.TryGetInt32(out var number) ? number : null;

    private JsonElement Section(JsonElement parent, string key)
    {
        if (Optional(parent, key) is { ValueKind: JsonValueKind.Object } section)
            return section;
        malformed.Add($"'{key}' is missing or not an object");
        return default;
    }

    private JsonElement.ArrayEnumerator Items(JsonElement parent, string key)
    {
        if (Optional(parent, key) is { ValueKind: JsonValueKind.Array } list)
            return list.EnumerateArray();
        if (Optional(parent, key) is not null)
            malformed.Add($"'{key}' is not an array");
        return default;
    }

    private bool Flag(JsonElement parent, string key, bool absent, string where)
    {
        switch (Optional(parent, key)?.ValueKind)
        {
            case null: return absent;
            case JsonValueKind.True: return true;
            case JsonValueKind.False: return false;
            default:
                malformed.Add($"{where}.{key} is neither true nor false");
                return absent;
        }
    }

    private static JsonElement? Optional(JsonElement parent, string key) =>
        parent.ValueKind == JsonValueKind.Object && parent.TryGetProperty(key, out var value) && value.ValueKind != JsonValueKind.Null ? value : null;

    private static string? Text(JsonElement parent, string key) => Optional(parent, key) is { } value ? AsText(value) : null;

    private static string? AsText(JsonElement value) => value.ValueKind == JsonValueKind.String ? value.GetString() : null;

    private static bool TryId(JsonElement element, out int id)
    {
        id = -1;
        return element.ValueKind == JsonValueKind.Number && element.TryGetInt32(out id) && id is >= 0 and <= MaximumTokenId;
    }

    private static string Kind(JsonElement element) => element.ValueKind.ToString().ToLowerInvariant();

    private void ThrowOnFaults()
    {
        if (malformed.Count > 0)
            throw new InvalidDataException($"{name} is not a well-formed tokenizer.json: {Listed(malformed)}.");
        if (unsupported.Count > 0)
            throw new NotSupportedException($"{name} needs what is not supported yet: {Listed(unsupported)}.");
    }

    private static string Listed(List<string> faults) =>
        string.Join("; ", faults.Take(MaximumListedErrors)) + (faults.Count > MaximumListedErrors ? $"; and {faults.Count - MaximumListedErrors} more" : "");
}
