using System.Collections.Frozen;

namespace ModelOps.ModelFiles.ChatTemplates.Jinja;

/// <summary>The methods of str, dict, list and tuple. Those that change their owner are refused, as by transformers' sandbox.</summary>
internal static class Methods
{
    private static readonly FrozenDictionary<string, NativeFunction> ofText = Table(
        Text("strip", "chars?", (text, arguments) => PythonString.Strip(text, Set(arguments), left: true, right: true)),
        Text("lstrip", "chars?", (text, arguments) => PythonString.Strip(text, Set(arguments), left: true, right: false)),
        Text("rstrip", "chars?", (text, arguments) => PythonString.Strip(text, Set(arguments), left: false, right: true)),
        Text("upper", "", (text, _) => text.ToUpperInvariant()),
        Text("lower", "", (text, _) => text.ToLowerInvariant()),
        Text("casefold", "", (text, _) => text.ToLowerInvariant()),
        Text("title", "", (text, _) => PythonString.Title(text)),
        Text("capitalize", "", (text, _) => PythonString.Capitalize(text)),
        Text("startswith", "prefix start? end?", (text, arguments) => Affixes(arguments).Any(affix => Range(text, arguments).StartsWith(affix))),
        Text("endswith", "suffix start? end?", (text, arguments) => Affixes(arguments).Any(affix => Range(text, arguments).EndsWith(affix))),
        Text("removeprefix", "prefix", (text, arguments) => text.StartsWith(arguments.Text(0)) ? text[arguments.Text(0).Length..] : text),
        Text("removesuffix", "suffix", (text, arguments) => text.EndsWith(arguments.Text(0)) ? text[..^arguments.Text(0).Length] : text),
        Text("find", "sub", (text, arguments) => Find(text, arguments.Text(0), last: false)),
        Text("rfind", "sub", (text, arguments) => Find(text, arguments.Text(0), last: true)),
        Text("index", "sub", (text, arguments) => Find(text, arguments.Text(0), last: false) is var at and >= 0 ? at : throw new TemplateFault("substring not found")),
        Text("count", "sub", (text, arguments) => PythonString.Count(text, arguments.Text(0))),
        Text("isdigit", "", (text, _) => text.Length > 0 && text.All(char.IsDigit)),
        Text("isnumeric", "", (text, _) => text.Length > 0 && text.All(char.IsNumber)),
        Text("isalpha", "", (text, _) => text.Length > 0 && text.All(char.IsLetter)),
        Text("isalnum", "", (text, _) => text.Length > 0 && text.All(char.IsLetterOrDigit)),
        Text("isspace", "", (text, _) => text.Length > 0 && text.All(PythonString.IsSpace)),
        Text("isupper", "", (text, _) => text.Any(char.IsUpper) && !text.Any(char.IsLower)),
        Text("islower", "", (text, _) => text.Any(char.IsLower) && !text.Any(char.IsUpper)),
        Text("partition", "sep", (text, arguments) => Partition(text, arguments.Text(0), last: false)),
        Text("rpartition", "sep", (text, arguments) => Partition(text, arguments.Text(0), last: true)),
        new NativeFunction("split", "sep? maxsplit?", (context, subject, arguments) => Split(context, subject, arguments, fromRight: false)),
        new NativeFunction("rsplit", "sep? maxsplit?", (context, subject, arguments) => Split(context, subject, arguments, fromRight: true)),
        new NativeFunction("splitlines", "keepends?", (context, subject, arguments) => Lines(context, (string)subject!, arguments)),
        new NativeFunction("join", "iterable", (context, subject, arguments) => Join(context, (string)subject!, arguments[0])),
        new NativeFunction("replace", "old new count?", (context, subject, arguments) =>
            PythonString.Replace(context, (string)subject!, arguments.Text(0), arguments.Text(1), arguments.Integer(2, -1))),
        Padding("ljust", (text, width, fill) => text.PadRight(width, fill)),
        Padding("rjust", (text, width, fill) => text.PadLeft(width, fill)),
        Padding("center", (text, width, fill) => PythonString.Center(text, width, fill)));

    private static readonly FrozenDictionary<string, NativeFunction> ofMapping = Table(
        new NativeFunction("get", "key default?", (_, subject, arguments) =>
            ((Mapping)subject!).TryGetValue(arguments[0], out var value) ? value : arguments[1]),
        new NativeFunction("items", "", (context, subject, _) => ItemsOf(context, (Mapping)subject!)),
        new NativeFunction("keys", "", (context, subject, _) => Python.Items(context, subject)),
        new NativeFunction("values", "", (context, subject, _) => ValuesOf(context, (Mapping)subject!)),
        new NativeFunction("copy", "", (context, subject, _) => Copy(context, (Mapping)subject!)),
        Refused("clear"), Refused("pop"), Refused("popitem"), Refused("setdefault"), Refused("update"));

    private static readonly FrozenDictionary<string, NativeFunction> ofList = Table(
        new NativeFunction("index", "value", (context, subject, arguments) => IndexOf(context, subject, arguments[0])),
        new NativeFunction("count", "value", (context, subject, arguments) =>
            (long)Python.Items(context, subject).Count(item => Python.AreEqual(item, arguments[0]))),
        new NativeFunction("copy", "", (context, subject, _) => Python.Items(context, subject).ToList()),
        Refused("append"), Refused("clear"), Refused("extend"), Refused("insert"), Refused("pop"), Refused("remove"), Refused("reverse"), Refused("sort"));

    public static NativeFunction? Find(object? owner, string name) => owner switch
    {
        string => ofText.GetValueOrDefault(name),
        Mapping => ofMapping.GetValueOrDefault(name),
        List<object?> or JinjaTuple => ofList.GetValueOrDefault(name),
        _ => null,
    };

    public static List<object?> ItemsOf(RenderContext context, Mapping mapping)
    {
        context.Allocate(mapping.Count * 2L);
        return [.. mapping.Entries.Select(entry => new JinjaTuple(entry.Key, entry.Value))];
    }

    private static FrozenDictionary<string, NativeFunction> Table(params NativeFunction[] functions) =>
        functions.ToFrozenDictionary(function => function.Name);

    private static NativeFunction Text(string name, string parameters, Func<string, Arguments, object?> body) =>
        new(name, parameters, (context, subject, arguments) =>
        {
            context.Allocate(((string)subject!).Length);
            return body((string)subject, arguments);
        });

    private static NativeFunction Padding(string name, Func<string, int, char, string> pad) =>
        new(name, "width fillchar?", (context, subject, arguments) =>
        {
            context.Allocate(arguments.Integer(0, 0));
            var text = (string)subject!;
            return pad(text, (int)Math.Max(arguments.Integer(0, 0), text.Length),
                arguments.Text(1, " ") is [var fill] ? fill : throw new TemplateFault("the fill character must be one character long"));
        });

    private static NativeFunction Refused(string name) =>
        new(name, "*", (_, subject, _) => throw new TemplateFault($"'{name}' would change a {Python.TypeName(subject)}, which templates must not do"));

    private static string? Set(Arguments arguments) => arguments[0] is null ? null : arguments.Text(0);

    /// <summary>One affix or a tuple of them.</summary>
    private static IEnumerable<string> Affixes(Arguments arguments) =>
        arguments[0] is JinjaTuple tuple ? tuple.Items.OfType<string>() : [arguments.Text(0)];

    private static string Range(string text, Arguments arguments) => arguments.Has(1)
        ? PythonString.Slice(text, new SliceIndices(PythonString.Length(text), arguments[1], arguments[2], null))
        : text;

    private static long Find(string text, string part, bool last)
    {
        var at = last ? text.LastIndexOf(part, StringComparison.Ordinal) : text.IndexOf(part, StringComparison.Ordinal);
        return at < 0 ? -1 : PythonString.Length(text[..at]);
    }

    private static JinjaTuple Partition(string text, string separator, bool last)
    {
        if (separator.Length == 0)
            throw new TemplateFault("empty separator");
        var at = last ? text.LastIndexOf(separator, StringComparison.Ordinal) : text.IndexOf(separator, StringComparison.Ordinal);
        if (at >= 0)
            return new JinjaTuple(text[..at], separator, text[(at + separator.Length)..]);
        return last ? new JinjaTuple("", "", text) : new JinjaTuple(text, "", "");
    }

    private static List<object?> Split(RenderContext context, object? subject, Arguments arguments, bool fromRight)
    {
        context.Allocate(((string)subject!).Length);
        var separator = arguments[0] is null ? null : arguments.Text(0);
        return PythonString.Split((string)subject, separator, arguments.Integer(1, -1), fromRight);
    }

    private static List<object?> Lines(RenderContext context, string text, Arguments arguments)
    {
        context.Allocate(text.Length);
        return [.. PythonString.Lines(text, arguments.Flag(0))];
    }

    private static string Join(RenderContext context, string separator, object? items)
    {
        var texts = Python.Items(context, items).ConvertAll(item =>
            item as string ?? throw new TemplateFault($"sequence item: expected str instance, {Python.TypeName(item)} found"));
        context.Allocate(texts.Sum(text => (long)text.Length + separator.Length));
        return string.Join(separator, texts);
    }

    private static List<object?> ValuesOf(RenderContext context, Mapping mapping)
    {
        context.Allocate(mapping.Count);
        return [.. mapping.Values];
    }

    private static Mapping Copy(RenderContext context, Mapping mapping)
    {
        context.Allocate(mapping.Count);
        var copy = new Mapping();
        foreach (var (key, value) in mapping.Entries)
            copy[key] = value;
        return copy;
    }

    private static long IndexOf(RenderContext context, object? list, object? value)
    {
        var index = Python.Items(context, list).FindIndex(item => Python.AreEqual(item, value));
        return index >= 0 ? index : throw new TemplateFault("the value is not in the list");
    }
}
