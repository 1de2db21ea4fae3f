using System.Collections;

namespace ModelOps.ModelFiles.ChatTemplates.Jinja;

/// <summary>What Python's built-in operations do with the values of a template.</summary>
internal static class Python
{
    public static string TypeName(object? value) => value switch
    {
        null => "NoneType",
        bool => "bool",
        long => "int",
        double => "float",
        string => "str",
        List<object?> => "list",
        JinjaTuple => "tuple",
        Mapping => "dict",
        ICallable => "function",
        _ => value.GetType().Name,
    };

    public static bool IsTrue(object? value) => value switch
    {
        null or Undefined => false,
        bool flag => flag,
        long number => number != 0,
        double number => number != 0,
        string text => text.Length > 0,
        List<object?> list => list.Count > 0,
        JinjaTuple tuple => tuple.Items.Length > 0,
        Mapping mapping => mapping.Count > 0,
        _ => true,
    };

    /// <summary>How much work it is to go through a value once.</summary>
    public static int SizeOf(object? value) => value switch
    {
        string text => text.Length,
        List<object?> list => list.Count,
        JinjaTuple tuple => tuple.Items.Length,
        Mapping mapping => mapping.Count,
        _ => 0,
    };

    public static bool IsNumber(object? value) => value is long or double or bool;

    /// <summary>The number as int; bools are ints.</summary>
    public static bool TryWhole(object? value, out long number)
    {
        number = value switch { long whole => whole, true => 1, _ => 0 };
        return value is long or bool;
    }

    public static double ToDouble(object? number) => number switch
    {
        double value => value,
        long value => value,
        bool value => value ? 1 : 0,
        Undefined undefined => throw new TemplateFault(undefined.Message),
        _ => throw new TemplateFault($"a number is needed, not '{TypeName(number)}'"),
    };

    public static bool AreEqual(object? left, object? right)
    {
        RenderContext.Visit(left);
        if (left is string leftText)
            return right is string rightText && leftText == rightText;
        if (TryWhole(left, out var leftWhole) && TryWhole(right, out var rightWhole))
            return leftWhole == rightWhole;
        if (IsNumber(left) && IsNumber(right))
            return ToDouble(left).Equals(ToDouble(right)) && !double.IsNaN(ToDouble(left));
        return (left, right) switch
        {
            (List<object?> first, List<object?> second) => AreEqualLists(first, second),
            (JinjaTuple first, JinjaTuple second) => AreEqualLists(first.Items, second.Items),
            (Mapping first, Mapping second) => AreEqualMappings(first, second),
            (Undefined, Undefined) => true,
            _ => ReferenceEquals(left, right),
        };
    }

    /// <exception cref="TemplateFault">Python has no order between the two.</exception>
    public static int Compare(object? left, object? right)
    {
        if (TryWhole(left, out var leftWhole) && TryWhole(right, out var rightWhole))
            return leftWhole.CompareTo(rightWhole);
        if (IsNumber(left) && IsNumber(right))
            return ToDouble(left).CompareTo(ToDouble(right));
        RenderContext.Visit(left);
        return (left, right) switch
        {
            (string first, string second) => string.CompareOrdinal(first, second),
            (List<object?> first, List<object?> second) => CompareLists(first, second),
            (JinjaTuple first, JinjaTuple second) => CompareLists(first.Items, second.Items),
            (Undefined undefined, _) => throw new TemplateFault(undefined.Message),
            (_, Undefined undefined) => throw new TemplateFault(undefined.Message),
            _ => throw new TemplateFault($"'{TypeName(left)}' and '{TypeName(right)}' have no order"),
        };
    }

    public static int Hash(object? value)
    {
        RenderContext.Visit(value);
        return value switch
        {
            string text => text.GetHashCode(StringComparison.Ordinal),
            bool or long or double => ToDouble(value).GetHashCode(),
            JinjaTuple tuple => tuple.Items.Aggregate(17, (hash, item) => HashCode.Combine(hash, Hash(item))),
            null => 0,
            _ => value.GetHashCode(),
        };
    }

    public static bool Contains(RenderContext context, object? container, object? item)
    {
        context.Step(SizeOf(container) >> 6);
        return container switch
        {
            string text when item is string part => text.Contains(part),
            string => throw new TemplateFault($"'in <string>' requires string as left operand, not {TypeName(item)}"),
            Mapping mapping => mapping.Contains(item),
            _ => Items(context, container).Exists(other => AreEqual(other, item)),
        };
    }

    /// <summary>What iterating over a value gives: characters, items, keys.</summary>
    /// <exception cref="TemplateFault">It cannot be iterated over.</exception>
    public static List<object?> Items(RenderContext context, object? value)
    {
        context.Allocate(SizeOf(value));
        return value switch
        {
            List<object?> list => list,
            JinjaTuple tuple => [.. tuple.Items],
            Mapping mapping => [.. mapping.Keys],
            string text => [.. text.EnumerateRunes().Select(rune => rune.ToString())],
            Undefined => [],
            _ => throw new TemplateFault($"'{TypeName(value)}' object is not iterable"),
        };
    }

    public static long Length(object? value) => value switch
    {
        string text => PythonString.Length(text),
        Undefined => 0,
        List<object?> or JinjaTuple or Mapping => SizeOf(value),
        _ => throw new TemplateFault($"object of type '{TypeName(value)}' has no len()"),
    };

    /// <summary><c>value.name</c>: attributes and methods before entries.</summary>
    public static object? Attribute(object? value, string name)
    {
        if (value is Undefined undefined)
            throw new TemplateFault(undefined.Message);
        if (value is IAttributes attributes && attributes.TryGetAttribute(name, out var attribute))
            return attribute;
        if (Methods.Find(value, name) is { } method)
            return new BoundFunction(method, value);
        return value is Mapping mapping && mapping.TryGetValue(name, out var entry) ? entry : Missing(value, name);
    }

    /// <summary><c>value[key]</c>: entries before attributes and methods.</summary>
    public static object? Item(object? value, object? key)
    {
        if (value is Undefined undefined)
            throw new TemplateFault(undefined.Message);
        if (value is Mapping mapping && key is not (List<object?> or Mapping) && mapping.TryGetValue(key, out var entry))
            return entry;
        if (TryWhole(key, out var index))
        {
            switch (value)
            {
                case List<object?> list: return ItemAt(list, index);
                case JinjaTuple tuple: return ItemAt(tuple.Items, index);
                case string text: return PythonString.CharacterAt(text, index) is { } character ? character : Missing(value, index);
            }
        }
        return key is string name && value is not Mapping ? Attribute(value, name)
            : key is string method && Methods.Find(value, method) is { } found ? new BoundFunction(found, value)
            : Missing(value, key);
    }

    public static object? Slice(RenderContext context, object? value, object? start, object? stop, object? step)
    {
        if (value is Undefined undefined)
            throw new TemplateFault(undefined.Message);
        context.Step(SizeOf(value) >> 6);
        context.Allocate(SizeOf(value));
        var length = (int)(value is string or List<object?> or JinjaTuple
            ? Length(value) : throw new TemplateFault($"'{TypeName(value)}' object cannot be sliced"));
        var indices = new SliceIndices(length, start, stop, step);
        return value switch
        {
            string text => PythonString.Slice(text, indices),
            List<object?> list => indices.Select(index => list[index]).ToList(),
            JinjaTuple tuple => new JinjaTuple([.. indices.Select(index => tuple.Items[index])]),
            _ => null,
        };
    }

    private static object? ItemAt(IReadOnlyList<object?> list, long index)
    {
        var position = index < 0 ? index + list.Count : index;
        return position >= 0 && position < list.Count ? list[(int)position] : new Undefined($"the list has {list.Count} items, none at {index}");
    }

    private static Undefined Missing(object? value, object? key) => new(value is null
        ? $"'None' has no attribute '{PythonText.Of(key)}'"
        : $"'{TypeName(value)} object' has no attribute '{PythonText.Of(key)}'");

    private static bool AreEqualLists(IReadOnlyList<object?> left, IReadOnlyList<object?> right)
    {
        if (left.Count != right.Count)
            return false;
        for (var index = 0; index < left.Count; index++)
        {
            if (!AreEqual(left[index], right[index]))
                return false;
        }
        return true;
    }

    private static bool AreEqualMappings(Mapping left, Mapping right) =>
        left.Count == right.Count
        && left.Entries.All(entry => right.TryGetValue(entry.Key, out var value) && AreEqual(entry.Value, value));

    private static int CompareLists(IReadOnlyList<object?> left, IReadOnlyList<object?> right)
    {
        for (var index = 0; index < Math.Min(left.Count, right.Count); index++)
        {
            if (!AreEqual(left[index], right[index]))
                return Compare(left[index], right[index]);
        }
        return left.Count.CompareTo(right.Count);
    }
}

internal sealed class PythonComparer : IEqualityComparer<object>
{
    public static PythonComparer Instance { get; } = new();

    public new bool Equals(object? x, object? y) => Python.AreEqual(x, y);

    public int GetHashCode(object obj) => Python.Hash(obj);
}

/// <summary>The indices that <c>[start:stop:step]</c> names, as Python's slice.indices() has it.</summary>
internal sealed class SliceIndices : IEnumerable<int>
{
    private readonly long start;
    private readonly long step;

    public SliceIndices(int length, object? start, object? stop, object? step)
    {
        this.step = Whole(step) ?? 1;
        if (this.step == 0)
            throw new TemplateFault("slice step cannot be zero");
        var forward = this.step > 0;
        this.start = Clamp(Whole(start), forward ? 0 : length - 1, length, forward);
        var end = Clamp(Whole(stop), forward ? length : -1, length, forward);
        // Steps are clamped too, so that no sum of two of them overflows.
        this.step = Math.Clamp(this.step, -length - 1L, length + 1L);
        Count = (int)Math.Max(0, forward ? (end - this.start + this.step - 1) / this.step : (this.start - end - this.step - 1) / -this.step);
    }

    public int Count { get; }

    /// <summary>Whether the indices are one stretch from left to right, which starts at <see cref="First"/>.</summary>
    public bool IsContiguous => step == 1;

    public int First => (int)start;

    public IEnumerator<int> GetEnumerator()
    {
        for (var index = 0; index < Count; index++)
            yield return (int)(start + (index * step));
    }

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

    private static long Clamp(long? index, long absent, int length, bool forward)
    {
        if (index is not { } value)
            return absent;
        var (low, high) = forward ? (0, length) : (-1, length - 1);
        return value < 0 ? Math.Max(value + length, low) : Math.Min(value, high);
    }

    private static long? Whole(object? value) => value switch
    {
        null => null,
        _ when Python.TryWhole(value, out var number) => number,
        Undefined undefined => throw new TemplateFault(undefined.Message),
        _ => throw new TemplateFault("slice indices must be integers or None"),
    };
}
