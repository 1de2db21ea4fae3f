using System.Diagnostics.CodeAnalysis;

namespace ModelOps.ModelFiles.ChatTemplates.Jinja;

// What a template computes with: null (None), bool, long (int), double (float), string, List<object?> (list), and the types here.

/// <summary>The value of what is not there: empty and false, and a fault as soon as anything is done with it.</summary>
/// <param name="Message">The fault, such as "'x' is undefined".</param>
internal sealed record Undefined(string Message)
{
    public static Undefined Variable(string name) => new($"'{name}' is undefined");
}

internal sealed class JinjaTuple(params object?[] items)
{
    public object?[] Items => items;
}

/// <summary>A dict: in order of insertion, keys compared as Python does (1, 1.0 and True are one key).</summary>
internal sealed class Mapping
{
    private static readonly object noneKey = new();

    private readonly OrderedDictionary<object, object?> entries = new(PythonComparer.Instance);

    /// <summary>The text that the arguments of a tool call were read from; null for any other.</summary>
    public string? Json { get; init; }

    public int Count => entries.Count;

    public IEnumerable<object?> Keys => entries.Keys.Select(key => ReferenceEquals(key, noneKey) ? null : key);

    public IEnumerable<object?> Values => entries.Values;

    public IEnumerable<(object? Key, object? Value)> Entries => Keys.Zip(Values);

    public object? this[object? key]
    {
        set => entries[Checked(key)] = value;
    }

    public bool TryGetValue(object? key, [MaybeNullWhen(true)] out object? value) => entries.TryGetValue(Checked(key), out value);

    public bool Contains(object? key) => entries.ContainsKey(Checked(key));

    private static object Checked(object? key) => key switch
    {
        null => noneKey,
        List<object?> or Mapping => throw new TemplateFault($"unhashable type: '{Python.TypeName(key)}'"),
        _ => key,
    };
}

/// <summary>Something with attributes that are neither methods of a Python type nor entries of a dict.</summary>
internal interface IAttributes
{
    /// <returns>False if there is no such attribute.</returns>
    bool TryGetAttribute(string name, out object? value);
}

/// <summary><c>namespace()</c>: the one thing that a loop's body can change for the outside.</summary>
internal sealed class Namespace : IAttributes
{
    private readonly Dictionary<string, object?> attributes = [];

    public object? this[string name]
    {
        set => attributes[name] = value;
    }

    public bool TryGetAttribute(string name, out object? value) => attributes.TryGetValue(name, out value);
}

/// <summary>The <c>loop</c> of a for statement.</summary>
internal sealed class Loop(List<object?> items, int depth, NativeFunction? recurse) : IAttributes
{
    private object?[]? lastChanged;

    public int Index { get; set; }

    public NativeFunction? Recurse => recurse;

    public bool TryGetAttribute(string name, out object? value)
    {
        value = name switch
        {
            "index" => Index + 1L,
            "index0" => (long)Index,
            "revindex" => (long)(items.Count - Index),
            "revindex0" => items.Count - Index - 1L,
            "first" => Index == 0,
            "last" => Index == items.Count - 1,
            "length" => (long)items.Count,
            "previtem" => Index > 0 ? items[Index - 1] : new Undefined("there is no previous item"),
            "nextitem" => Index + 1 < items.Count ? items[Index + 1] : new Undefined("there is no next item"),
            "depth" => depth + 1L,
            "depth0" => (long)depth,
            "cycle" => new NativeFunction("cycle", "*", (_, _, arguments) => Cycle(arguments)),
            "changed" => new NativeFunction("changed", "*", (_, _, arguments) => Changed(arguments)),
            _ => this,
        };
        return value != this;
    }

    private object? Cycle(Arguments arguments) => arguments.Positional.Count > 0
        ? arguments.Positional[Index % arguments.Positional.Count]
        : throw new TemplateFault("no items for cycling given");

    private bool Changed(Arguments arguments)
    {
        object?[] values = [.. arguments.Positional];
        var changed = lastChanged is null || !Python.AreEqual(new JinjaTuple(lastChanged), new JinjaTuple(values));
        lastChanged = values;
        return changed;
    }
}
