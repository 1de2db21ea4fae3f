namespace ModelOps.ModelFiles.ChatTemplates.Jinja;

internal static class SequenceFilters
{
    public static NativeFunction[] All { get; } =
    [
        new("length", "", (_, value, _) => Python.Length(value)),
        new("count", "", (_, value, _) => Python.Length(value)),
        new("list", "", (context, value, _) => Python.Items(context, value).ToList()),
        new("first", "", (context, value, _) => Python.Items(context, value) is [var first, ..] ? first : new Undefined("No first item, sequence was empty.")),
        new("last", "", (context, value, _) => Last(context, value)),
        new("reverse", "", Reverse),
        new("items", "", (context, value, _) => Items(context, value)),
        new("dictsort", "case_sensitive? by? reverse?", SortMapping),
        new("join", "d? attribute?", Join),
        new("sort", "reverse? case_sensitive? attribute?", Sort),
        new("unique", "case_sensitive? attribute?", Unique),
        new("min", "case_sensitive? attribute?", (context, value, arguments) => Extreme(context, value, arguments, sign: -1)),
        new("max", "case_sensitive? attribute?", (context, value, arguments) => Extreme(context, value, arguments, sign: 1)),
        new("sum", "attribute? start?", Sum),
        new("batch", "linecount fill_with?", Batch),
        new("map", "*", Map),
        new("select", "*", (context, value, arguments) => Select(context, value, arguments, byAttribute: false, wanted: true)),
        new("reject", "*", (context, value, arguments) => Select(context, value, arguments, byAttribute: false, wanted: false)),
        new("selectattr", "*", (context, value, arguments) => Select(context, value, arguments, byAttribute: true, wanted: true)),
        new("rejectattr", "*", (context, value, arguments) => Select(context, value, arguments, byAttribute: true, wanted: false)),
    ];

    private static object? Last(RenderContext context, object? value)
    {
        if (value is Undefined undefined)
            throw new TemplateFault(undefined.Message);
        return Python.Items(context, value) is [.., var last] ? last : new Undefined("No last item, sequence was empty.");
    }

    private static object? Reverse(RenderContext context, object? value, Arguments arguments)
    {
        var items = Enumerable.Reverse(Python.Items(context, value)).ToList();
        return value is string ? string.Concat(items) : items;
    }

    private static List<object?> Items(RenderContext context, object? value) => value switch
    {
        Undefined => [],
        Mapping mapping => Methods.ItemsOf(context, mapping),
        _ => throw new TemplateFault("Can only get item pairs from a mapping."),
    };

    private static List<object?> SortMapping(RenderContext context, object? value, Arguments arguments)
    {
        var position = arguments.Text(1, "key") switch
        {
            "key" => 0,
            "value" => 1,
            _ => throw new TemplateFault("You can only sort by either \"key\" or \"value\""),
        };
        return Sorted(context, Items(context, value), item => Key(((JinjaTuple)item!).Items[position], arguments.Flag(0)), reverse: arguments.Flag(2));
    }

    private static string Join(RenderContext context, object? value, Arguments arguments)
    {
        var attribute = Path(arguments[1]);
        var separator = arguments.Has(0) ? PythonText.Of(arguments[0]) : "";
        var texts = Python.Items(context, value).ConvertAll(item => PythonText.Of(attribute(item)));
        context.Allocate(texts.Sum(text => (long)text.Length + separator.Length));
        return string.Join(separator, texts);
    }

    private static List<object?> Sort(RenderContext context, object? value, Arguments arguments)
    {
        var attribute = Path(arguments[2]);
        return Sorted(context, Python.Items(context, value), item => Key(attribute(item), arguments.Flag(1)), reverse: arguments.Flag(0));
    }

    private static List<object?> Unique(RenderContext context, object? value, Arguments arguments)
    {
        var attribute = Path(arguments[1]);
        var seen = new Mapping();
        var result = new List<object?>();
        foreach (var item in Python.Items(context, value))
        {
            var key = Key(attribute(item), arguments.Flag(0));
            if (seen.Contains(key))
                continue;
            seen[key] = null;
            result.Add(item);
        }
        return result;
    }

    private static object? Extreme(RenderContext context, object? value, Arguments arguments, int sign)
    {
        var attribute = Path(arguments[1]);
        var items = Python.Items(context, value);
        if (items.Count == 0)
            return new Undefined("No aggregated item, sequence was empty.");
        return items.Aggregate((best, item) =>
            Python.Compare(Key(attribute(item), arguments.Flag(0)), Key(attribute(best), arguments.Flag(0))) * sign > 0 ? item : best);
    }

    private static object? Sum(RenderContext context, object? value, Arguments arguments)
    {
        var attribute = Path(arguments[0]);
        return Python.Items(context, value).Aggregate(
            arguments.Has(1) ? arguments[1] : 0L, (sum, item) => Arithmetic.Apply(context, "+", sum, attribute(item)));
    }

    private static List<object?> Batch(RenderContext context, object? value, Arguments arguments)
    {
        var size = arguments.Integer(0, 1);
        if (size is < 1 or > 100_000)
            throw new TemplateFault("batch() needs a size from 1 to 100000");
        var batches = Python.Items(context, value).Chunk((int)size).Select(object? (batch) => batch.ToList()).ToList();
        if (arguments[1] is { } filler && batches is [.., List<object?> last])
        {
            context.Allocate(size - last.Count);
            last.AddRange(Enumerable.Repeat(filler, (int)size - last.Count));
        }
        return batches;
    }

    /// <summary><c>map('filter', …)</c> or <c>map(attribute='name', default=…)</c>; of what is false, as None is, nothing.</summary>
    private static List<object?> Map(RenderContext context, object? value, Arguments arguments)
    {
        if (!Python.IsTrue(value))
            return [];
        if (arguments.Positional.Count == 0 && arguments.Named.TryGetValue("attribute", out var path))
        {
            var attribute = Path(path);
            var fallback = arguments.Named.GetValueOrDefault("default");
            return Python.Items(context, value).ConvertAll(item => attribute(item) is var found && found is Undefined && fallback is not null ? fallback : found);
        }
        var filter = arguments.Positional is [string name, ..] ? Filters.Find(name) : null;
        if (filter is null)
            throw new TemplateFault("map() needs the name of a filter or an attribute");
        var rest = arguments.Skip(1);
        return Python.Items(context, value).ConvertAll(item => filter.Invoke(context, item, rest));
    }

    /// <summary>Of what is false, as None is, nothing.</summary>
    private static List<object?> Select(RenderContext context, object? value, Arguments arguments, bool byAttribute, bool wanted)
    {
        if (!Python.IsTrue(value))
            return [];
        var attribute = byAttribute
            ? Path(arguments.Positional is [var path, ..] ? path : throw new TemplateFault("selectattr() needs the name of an attribute"))
            : Path(null);
        var rest = arguments.Skip(byAttribute ? 1 : 0);
        var test = rest.Positional is [var name, ..]
            ? Tests.Find(PythonText.Of(name)) ?? throw new TemplateFault($"there is no test named '{PythonText.Of(name)}'")
            : null;
        var testArguments = rest.Skip(1);
        return Python.Items(context, value).FindAll(item => wanted == Python.IsTrue(
            test is null ? attribute(item) : test.Invoke(context, attribute(item), testArguments)));
    }

    /// <summary>Follows "a.b.0" from an item; null leaves items as they are.</summary>
    private static Func<object?, object?> Path(object? path)
    {
        if (path is null)
            return item => item;
        if (path is not string text)
            return item => Python.Item(item, path);
        object?[] parts = [.. text.Split('.').Select(object? (part) => long.TryParse(part, out var index) ? index : part)];
        return item => parts.Aggregate(item, Python.Item);
    }

    private static object? Key(object? value, bool caseSensitive) => value is string text && !caseSensitive ? text.ToLowerInvariant() : value;

    private static List<object?> Sorted(RenderContext context, List<object?> items, Func<object?, object?> key, bool reverse)
    {
        context.Step(items.Count * 16);
        var comparer = Comparer<object?>.Create((left, right) => reverse ? Python.Compare(right, left) : Python.Compare(left, right));
        try
        {
            return [.. items.OrderBy(key, comparer)];
        }
        catch (InvalidOperationException exception) when (exception.InnerException is TemplateFault fault)
        {
            throw new TemplateFault(fault.Message);
        }
    }
}
