using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace ModelOps.Ggml;

/// <summary>One translation. Every schema of the document becomes a rule, so that references may recur.</summary>
internal sealed class JsonSchemaCompiler(JsonElement document)
{
    private const int MaxDepth = 64;

    private static readonly string[] unsupported =
    [
        "not", "if", "then", "else", "dependentSchemas", "dependentRequired", "patternProperties", "propertyNames", "minProperties",
        "maxProperties", "unevaluatedProperties", "unevaluatedItems", "contains", "minContains", "maxContains", "uniqueItems", "multipleOf",
        "pattern", "$dynamicRef",
    ];

    private static readonly string[] assertions =
    [
        "properties", "required", "additionalProperties", "items", "prefixItems", "minItems", "maxItems", "minLength", "maxLength", "minimum",
        "maximum", "exclusiveMinimum", "exclusiveMaximum",
    ];

    private static readonly string[] allTypes = ["null", "boolean", "object", "array", "number", "string"];
    private static readonly JsonSerializerOptions plain = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    private readonly StringBuilder rules = new();
    private readonly Dictionary<string, string> names = []; // of rules, by JSON pointer
    private readonly HashSet<string> shared = [];
    private readonly List<string> errors = [];

    public string Compile()
    {
        var root = Schema(document, "#", 0);
        if (errors.Count > 0) throw new ArgumentException($"The JSON schema is not supported: {string.Join("; ", errors.Distinct())}.");
        return $"root ::= {root}\n{rules}";
    }

    /// <returns>The name of the schema's rule.</returns>
    private string Schema(JsonElement schema, string pointer, int depth)
    {
        if (names.TryGetValue(pointer, out var known)) return known;
        var name = $"s{names.Count}";
        names[pointer] = name;
        var body = depth > MaxDepth ? Fail(pointer, $"schemas are more than {MaxDepth} deep") : Body(schema, pointer, depth);
        Rule(name, body);
        return name;
    }

    private string Body(JsonElement schema, string pointer, int depth)
    {
        if (schema.ValueKind == JsonValueKind.True) return Value();
        if (schema.ValueKind == JsonValueKind.False) return Fail(pointer, "false accepts nothing");
        if (schema.ValueKind != JsonValueKind.Object) return Fail(pointer, "it is no schema, which is an object, true or false");
        foreach (var keyword in unsupported)
            if (schema.TryGetProperty(keyword, out var value) && !(keyword == "uniqueItems" && value.ValueKind == JsonValueKind.False))
                errors.Add($"{pointer}/{keyword}");

        if (schema.TryGetProperty("$ref", out var reference)) return Alone(schema, pointer, "$ref") ?? Reference(reference, pointer, depth);
        if (schema.TryGetProperty("allOf", out var all)) return Alone(schema, pointer, "allOf") ?? AllOf(all, pointer, depth);
        if (schema.TryGetProperty("anyOf", out var any)) return Alone(schema, pointer, "anyOf") ?? AnyOf(any, $"{pointer}/anyOf", depth);
        if (schema.TryGetProperty("oneOf", out var one)) return Alone(schema, pointer, "oneOf") ?? OneOf(one, $"{pointer}/oneOf", depth);
        if (schema.TryGetProperty("const", out var constant)) return Choice(schema, pointer, "const", [constant]);
        if (schema.TryGetProperty("enum", out var values))
            return values.ValueKind == JsonValueKind.Array ? Choice(schema, pointer, "enum", [.. values.EnumerateArray()]) : Fail($"{pointer}/enum", "it is no list");
        var types = Types(schema, pointer);
        return string.Join(" | ", types.Select(type => Typed(type, schema, pointer, depth)));
    }

    /// <returns>A body for the error if keywords stand beside one that is only supported alone; null if they don't.</returns>
    private string? Alone(JsonElement schema, string pointer, string keyword)
    {
        string[] others = [.. assertions, "type", "enum", "const", "$ref", "anyOf", "oneOf", "allOf"];
        var beside = others.Where(other => other != keyword && schema.TryGetProperty(other, out _)).ToArray();
        return beside.Length == 0 ? null : Fail(pointer, $"{keyword} beside {string.Join(", ", beside)}");
    }

    private string Reference(JsonElement reference, string pointer, int depth)
    {
        var target = reference.ValueKind == JsonValueKind.String ? reference.GetString()! : "";
        if (target != "#" && !target.StartsWith("#/", StringComparison.Ordinal)) return Fail($"{pointer}/$ref", $"'{target}' is not within the schema");
        return Find(target) is { } schema ? Schema(schema, target, depth + 1) : Fail($"{pointer}/$ref", $"there is no '{target}'");
    }

    private JsonElement? Find(string pointer)
    {
        var element = document;
        foreach (var part in pointer.Split('/').Skip(1))
        {
            var key = Uri.UnescapeDataString(part).Replace("~1", "/", StringComparison.Ordinal).Replace("~0", "~", StringComparison.Ordinal);
            if (element.ValueKind == JsonValueKind.Object && element.TryGetProperty(key, out var property)) element = property;
            else if (element.ValueKind == JsonValueKind.Array && int.TryParse(key, NumberStyles.None, CultureInfo.InvariantCulture, out var index)
                && index < element.GetArrayLength()) element = element[index];
            else return null;
        }
        return element;
    }

    private string AllOf(JsonElement all, string pointer, int depth) =>
        all.ValueKind == JsonValueKind.Array && all.GetArrayLength() == 1
            ? Schema(all[0], $"{pointer}/allOf/0", depth + 1)
            : Fail($"{pointer}/allOf", "only one schema is possible");

    private string AnyOf(JsonElement any, string pointer, int depth) =>
        any.ValueKind == JsonValueKind.Array && any.GetArrayLength() > 0
            ? string.Join(" | ", any.EnumerateArray().Select((schema, i) => Schema(schema, $"{pointer}/{i}", depth + 1)))
            : Fail(pointer, "it has no alternatives");

    private string OneOf(JsonElement one, string pointer, int depth)
    {
        JsonElement[] alternatives = one.ValueKind == JsonValueKind.Array ? [.. one.EnumerateArray()] : [];
        for (var i = 0; i < alternatives.Length; i++)
            for (var j = i + 1; j < alternatives.Length; j++)
                if (!Exclude(alternatives[i], alternatives[j]))
                    errors.Add($"{pointer}: alternatives {i} and {j} may accept the same value; use anyOf, or give both a required property of other constants");
        return AnyOf(one, pointer, depth);
    }

    /// <summary>Whether two schemas surely have no value in common.</summary>
    private bool Exclude(JsonElement first, JsonElement second)
    {
        (first, second) = (Resolved(first), Resolved(second));
        if (first.ValueKind != JsonValueKind.Object || second.ValueKind != JsonValueKind.Object) return false;
        if (Constants(first) is { } a && Constants(second) is { } b) return !a.Intersect(b).Any();
        var (types, others) = (PossibleTypes(first), PossibleTypes(second));
        if (!types.Intersect(others).Any()) return true;
        return types is ["object"] && others is ["object"] && Required(first).Intersect(Required(second)).Any(name =>
            Property(first, name) is { } p && Property(second, name) is { } q && Constants(p) is { } c && Constants(q) is { } d && !c.Intersect(d).Any());
    }

    /// <summary>With integers among the numbers.</summary>
    private string[] PossibleTypes(JsonElement schema)
    {
        JsonElement[]? values = schema.TryGetProperty("const", out var constant) ? [constant]
            : schema.TryGetProperty("enum", out var list) && list.ValueKind == JsonValueKind.Array ? [.. list.EnumerateArray()] : null;
        return values is null
            ? [.. Types(schema, "#").Select(type => type == "integer" ? "number" : type).Distinct()]
            : [.. allTypes.Where(type => Array.Exists(values, value => Is(value, type)))];
    }

    private JsonElement Resolved(JsonElement schema)
    {
        for (var i = 0; i < MaxDepth && schema.ValueKind == JsonValueKind.Object && schema.TryGetProperty("$ref", out var reference)
            && reference.ValueKind == JsonValueKind.String && Find(reference.GetString()!) is { } target; i++) schema = target;
        return schema;
    }

    private static IReadOnlyList<string>? Constants(JsonElement schema) =>
        schema.ValueKind != JsonValueKind.Object ? null
        : schema.TryGetProperty("const", out var constant) ? [Json(constant)]
        : schema.TryGetProperty("enum", out var values) && values.ValueKind == JsonValueKind.Array ? [.. values.EnumerateArray().Select(Json)]
        : null;

    private static JsonElement? Property(JsonElement schema, string name) =>
        schema.TryGetProperty("properties", out var properties) && properties.ValueKind == JsonValueKind.Object && properties.TryGetProperty(name, out var property)
            ? property : null;

    private static string[] Required(JsonElement schema) =>
        schema.TryGetProperty("required", out var required) && required.ValueKind == JsonValueKind.Array
            ? [.. required.EnumerateArray().Where(name => name.ValueKind == JsonValueKind.String).Select(name => name.GetString()!).Distinct()]
            : [];

    private string Choice(JsonElement schema, string pointer, string keyword, JsonElement[] values)
    {
        var beside = assertions.Concat(["enum", "const"]).Where(other => other != keyword && schema.TryGetProperty(other, out _)).ToArray();
        if (beside.Length > 0) return Fail(pointer, $"{keyword} beside {string.Join(", ", beside)}");
        var types = Types(schema, pointer);
        var literals = values.Where(value => Array.Exists(types, type => Is(value, type))).Select(value => Literal(Json(value))).Distinct().ToArray();
        return literals.Length > 0 ? string.Join(" | ", literals) : Fail($"{pointer}/{keyword}", "no value is of the wanted type");
    }

    private static bool Is(JsonElement value, string type) => value.ValueKind switch
    {
        JsonValueKind.Null => type == "null",
        JsonValueKind.True or JsonValueKind.False => type == "boolean",
        JsonValueKind.Object => type == "object",
        JsonValueKind.Array => type == "array",
        JsonValueKind.String => type == "string",
        _ => type == "number" || (type == "integer" && value.TryGetDecimal(out var number) && number == decimal.Truncate(number)),
    };

    private string[] Types(JsonElement schema, string pointer)
    {
        if (!schema.TryGetProperty("type", out var type)) return Implied(schema);
        string[] types = type.ValueKind == JsonValueKind.Array
            ? [.. type.EnumerateArray().Select(item => item.ToString())]
            : [type.ToString()];
        var unknown = types.Where(name => name != "integer" && !allTypes.Contains(name)).ToArray();
        if (unknown.Length == 0 && types.Length > 0) return types.Contains("number") ? [.. types.Where(name => name != "integer")] : types;
        errors.Add($"{pointer}/type: there is no type '{string.Join("', '", unknown)}'");
        return allTypes;
    }

    // Without a type, a keyword of one leaves all others as they are; who writes it means that one.
    private static string[] Implied(JsonElement schema)
    {
        bool Has(params string[] keywords) => Array.Exists(keywords, keyword => schema.TryGetProperty(keyword, out _));
        return Has("const", "enum") ? allTypes
            : Has("properties", "required", "additionalProperties") ? ["object"]
            : Has("items", "prefixItems", "minItems", "maxItems") ? ["array"]
            : Has("minLength", "maxLength") ? ["string"]
            : Has("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum") ? ["number"]
            : allTypes;
    }

    private string Typed(string type, JsonElement schema, string pointer, int depth) => type switch
    {
        "null" => "\"null\"",
        "boolean" => "(\"true\" | \"false\")",
        "string" => String(schema, pointer),
        "number" => Number(schema, pointer),
        "integer" => Integer(schema, pointer),
        "array" => ArrayOf(schema, pointer, depth),
        _ => Object(schema, pointer, depth),
    };

    private string Object(JsonElement schema, string pointer, int depth)
    {
        var properties = schema.TryGetProperty("properties", out var listed) && listed.ValueKind == JsonValueKind.Object
            ? listed.EnumerateObject().ToArray() : [];
        var required = Required(schema);
        var additional = schema.TryGetProperty("additionalProperties", out var extra) ? Additional(extra, pointer, depth)
            : properties.Length == 0 ? Value() : null;
        var members = properties.Select(property => (
            property.Name,
            Rule: $"{Literal(Json(property.Name))} ws \":\" ws {Schema(property.Value, $"{pointer}/properties/{Escaped(property.Name)}", depth + 1)}",
            Required: required.Contains(property.Name))).ToList();
        foreach (var name in required.Where(name => Array.TrueForAll(properties, property => property.Name != name)))
        {
            if (additional is null) return Fail($"{pointer}/required", $"'{name}' is neither among the properties nor an additional one");
            members.Add((name, $"{Literal(Json(name))} ws \":\" ws {additional}", true));
        }
        Space();
        var others = additional is null ? null : $"{KeyOtherThan([.. members.Select(member => member.Name)], $"{names[pointer]}-key")} ws \":\" ws {additional}";
        return $"\"{{\" ws {Members([.. members.Select(member => (member.Rule, member.Required))], others, names[pointer])} \"}}\"";
    }

    /// <summary>All members in order: what may follow depends on whether one was there, which the rules NAME-I (none yet) and NAME-cI tell.</summary>
    private string Members((string Rule, bool Required)[] members, string? others, string name)
    {
        var more = others is null ? "" : $" (\",\" ws {others} ws)*";
        Rule($"{name}-m{members.Length}", others is null ? "\"\"" : $"({others} ws{more})?");
        Rule($"{name}-c{members.Length}", more.Length == 0 ? "\"\"" : more.Trim());
        for (var i = members.Length - 1; i >= 0; i--)
        {
            var (rule, required) = members[i];
            Rule($"{name}-m{i}", $"{rule} ws {name}-c{i + 1}{(required ? "" : $" | {name}-m{i + 1}")}");
            Rule($"{name}-c{i}", $"\",\" ws {rule} ws {name}-c{i + 1}{(required ? "" : $" | {name}-c{i + 1}")}");
        }
        return $"{name}-m0";
    }

    private string? Additional(JsonElement extra, string pointer, int depth) =>
        extra.ValueKind == JsonValueKind.False ? null : Schema(extra, $"{pointer}/additionalProperties", depth + 1);

    /// <summary>A string of letters, digits and a few marks that is none of the names: whatever follows their common beginnings.</summary>
    private string KeyOtherThan(string[] taken, string name)
    {
        Rule($"{name}", $"\"\\\"\" {Beyond([.. taken.Where(other => other.All(IsKeyCharacter))], 0)} \"\\\"\"");
        return name;
    }

    private string Beyond(string[] taken, int length)
    {
        var character = Shared("key-char", "[A-Za-z0-9_-]");
        if (taken.Length == 0) return length == 0 ? $"{character}{{1,32}}" : $"{character}{{0,32}}";
        var next = taken.Where(other => other.Length > length).GroupBy(other => other[length]).ToArray();
        var isTaken = Array.Exists(taken, other => other.Length == length);
        var excluded = string.Concat(next.Select(group => group.Key));
        var rest = Rest(excluded);
        var branches = next.Select(group => $"\"{group.Key}\" {Beyond([.. group], length + 1)}").ToList();
        if (rest.Length > 0) branches.Add($"[{rest}] {character}{{0,32}}");
        var all = branches.Count > 0 ? $"({string.Join(" | ", branches)})" : "\"\"";
        return isTaken || length == 0 ? all : $"{all}?";
    }

    private static string Rest(string excluded) => string.Concat(
        Enumerable.Range(0, 128).Select(code => (char)code).Where(character => IsKeyCharacter(character) && !excluded.Contains(character, StringComparison.Ordinal))
            .OrderBy(character => character == '-')); // last, where it is no range

    private static bool IsKeyCharacter(char character) => char.IsAsciiLetterOrDigit(character) || character is '_' or '-';

    private string ArrayOf(JsonElement schema, string pointer, int depth)
    {
        var prefix = schema.TryGetProperty("prefixItems", out var listed) && listed.ValueKind == JsonValueKind.Array
            ? listed.EnumerateArray().Select((item, i) => Schema(item, $"{pointer}/prefixItems/{i}", depth + 1)).ToArray() : [];
        var (least, most) = Bounds(schema, pointer, "minItems", "maxItems");
        var closed = schema.TryGetProperty("items", out var items) && items.ValueKind == JsonValueKind.False;
        var item = closed ? null : items.ValueKind == JsonValueKind.Undefined ? (prefix.Length == 0 ? Value() : null) : Schema(items, $"{pointer}/items", depth + 1);
        if (item is null) most = Math.Min(most ?? int.MaxValue, prefix.Length);
        if (most < least) return Fail(pointer, $"at least {least} and at most {most} items are impossible");
        Space();
        return $"\"[\" ws {Items(prefix, item, least, most)} \"]\"";
    }

    private static string Items(string[] prefix, string? item, int least, int? most)
    {
        if (most == 0) return "\"\"";
        if (prefix.Length == 0)
        {
            var repeated = $"(\",\" ws {item} ws){{{Math.Max(0, least - 1)},{most - 1}}}";
            return least > 0 ? $"{item} ws {repeated}" : $"({item} ws {repeated})?";
        }
        var count = Math.Min(prefix.Length, most ?? int.MaxValue);
        var tail = item is null || count < prefix.Length ? ""
            : $"(\",\" ws {item} ws){{{Math.Max(0, least - count)},{most - count}}}";
        for (var i = count - 1; i >= 0; i--)
        {
            var here = $"{(i > 0 ? "\",\" ws " : "")}{prefix[i]} ws {tail}";
            tail = i < least ? here : $"({here})?";
        }
        return tail;
    }

    private string String(JsonElement schema, string pointer)
    {
        var (least, most) = Bounds(schema, pointer, "minLength", "maxLength");
        if (most < least) return Fail(pointer, $"at least {least} and at most {most} characters are impossible");
        return $"\"\\\"\" {Character()}{(least == 0 && most is null ? "*" : $"{{{least},{most}}}")} \"\\\"\"";
    }

    /// <summary>One code point, as lengths are counted: surrogates, of which two make one, are not escaped.</summary>
    private string Character() => Shared(
        "char", """[^"\\\x00-\x1F\x7F] | "\\" (["\\/bfnrt] | "u" ([0-9a-cA-Ce-fE-F] [0-9a-fA-F]{3} | [dD] [0-7] [0-9a-fA-F]{2}))""");

    private (int Least, int? Most) Bounds(JsonElement schema, string pointer, string least, string most)
    {
        int? Read(string keyword)
        {
            if (!schema.TryGetProperty(keyword, out var value)) return null;
            if (value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out var number) && number is >= 0 and <= GrammarText.MaxRepetition) return number;
            errors.Add($"{pointer}/{keyword}: 0 to {GrammarText.MaxRepetition} are possible");
            return null;
        }
        return (Read(least) ?? 0, Read(most));
    }

    private string Number(JsonElement schema, string pointer)
    {
        foreach (var keyword in new[] { "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum" })
            if (schema.TryGetProperty(keyword, out _)) errors.Add($"{pointer}/{keyword}: bounds are supported for the type integer only");
        return Number();
    }

    private string Number() => Shared("number", "\"-\"? (\"0\" | [1-9] [0-9]{0,15}) (\".\" [0-9]{1,15})? ([eE] [-+]? [0-9]{1,2})?");

    private string Integer(JsonElement schema, string pointer)
    {
        long? Read(string keyword, int step)
        {
            if (!schema.TryGetProperty(keyword, out var value)) return null;
            if (value.ValueKind == JsonValueKind.Number && value.TryGetDecimal(out var number) && Math.Abs(number) <= IntegerRange.Limit)
                return (long)(step < 0 ? decimal.Floor(number) : decimal.Ceiling(number)) + (keyword.StartsWith("excl", StringComparison.Ordinal) && number == decimal.Truncate(number) ? step : 0);
            errors.Add($"{pointer}/{keyword}: -{IntegerRange.Limit} to {IntegerRange.Limit} are possible");
            return null;
        }
        var (least, most) = (Larger(Read("minimum", 1), Read("exclusiveMinimum", 1)), Smaller(Read("maximum", -1), Read("exclusiveMaximum", -1)));
        if (least is null && most is null)
            return Shared("integer", "\"-\"? (\"0\" | [1-9] [0-9]{0,15})");
        var (from, to) = (least ?? -IntegerRange.Limit, most ?? IntegerRange.Limit);
        return from > to ? Fail(pointer, $"no integer is from {from} to {to}") : $"({IntegerRange.ToGbnf(from, to)})";

        static long? Larger(long? a, long? b) => a is null || b > a ? b : a;
        static long? Smaller(long? a, long? b) => a is null || b < a ? b : a;
    }

    /// <summary>Any JSON.</summary>
    private string Value()
    {
        Space();
        Shared("string", $"\"\\\"\" {Character()}* \"\\\"\"");
        Shared("array", "\"[\" ws (value ws (\",\" ws value ws)*)? \"]\"");
        Shared("object", "\"{\" ws (string ws \":\" ws value ws (\",\" ws string ws \":\" ws value ws)*)? \"}\"");
        return Shared("value", $"\"null\" | \"true\" | \"false\" | {Number()} | string | array | object");
    }

    // Bounded, so that a model cannot go on with blanks for ever.
    private void Space() => Shared("ws", "(\" \" | \"\\n\" [ \\t]{0,20})?");

    private string Shared(string name, string body)
    {
        if (shared.Add(name)) Rule(name, body);
        return name;
    }

    private void Rule(string name, string body) => rules.Append(name).Append(" ::= ").Append(body).Append('\n');

    private string Fail(string pointer, string message)
    {
        errors.Add($"{pointer}: {message}");
        return "\"\"";
    }

    private static string Escaped(string name) => name.Replace("~", "~0", StringComparison.Ordinal).Replace("/", "~1", StringComparison.Ordinal);

    private static string Json(JsonElement value) => JsonSerializer.Serialize(value, plain);

    private static string Json(string value) => JsonSerializer.Serialize(value, plain);

    /// <summary>JSON as a literal of the grammar.</summary>
    private static string Literal(string json) =>
        $"\"{json.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\"", "\\\"", StringComparison.Ordinal)}\"";
}
