using System.Collections.Frozen;

namespace ModelOps.ModelFiles.ChatTemplates.Jinja;

/// <summary>The functions that every template has: Jinja's and those that transformers adds.</summary>
internal static class Globals
{
    private const int MaximumRange = 100_000; // as Jinja's sandbox

    private static readonly FrozenDictionary<string, NativeFunction> functions = new NativeFunction[]
    {
        new("range", "start stop? step?", Range),
        new("dict", "*", (context, _, arguments) => Dict(context, arguments)),
        new("namespace", "*", (context, _, arguments) => MakeNamespace(context, arguments)),
        new("raise_exception", "message", (_, _, arguments) => throw new RaisedFault(PythonText.Of(arguments[0]))),
        new("strftime_now", "format", (context, _, arguments) => StrftimeFormat.Apply(context.Time.GetLocalNow(), arguments.Text(0))),
    }.ToFrozenDictionary(function => function.Name);

    public static bool TryFind(string name, out object? value)
    {
        var found = functions.TryGetValue(name, out var function);
        value = function;
        return found;
    }

    private static List<object?> Range(RenderContext context, object? subject, Arguments arguments)
    {
        var (start, stop, step) = arguments.Has(1)
            ? (arguments.Integer(0, 0), arguments.Integer(1, 0), arguments.Integer(2, 1))
            : (0, arguments.Integer(0, 0), 1);
        if (step == 0)
            throw new TemplateFault("range() arg 3 must not be zero");
        var count = ((Int128)stop - start + step - Math.Sign(step)) / step;
        if (count > MaximumRange)
            throw new TemplateFault($"range() is longer than {MaximumRange}");
        context.Allocate((long)Int128.Max(count, 0));
        var result = new List<object?>();
        for (var index = 0; index < count; index++)
            result.Add(start + (index * step));
        return result;
    }

    private static Mapping Dict(RenderContext context, Arguments arguments)
    {
        var result = new Mapping();
        foreach (var source in arguments.Positional)
        {
            foreach (var (key, value) in Pairs(context, source))
                result[key] = value;
        }
        foreach (var (name, value) in arguments.Named)
            result[name] = value;
        return result;
    }

    private static Namespace MakeNamespace(RenderContext context, Arguments arguments)
    {
        var result = new Namespace();
        foreach (var (key, value) in Dict(context, arguments).Entries)
            result[PythonText.Of(key)] = value;
        return result;
    }

    private static IEnumerable<(object? Key, object? Value)> Pairs(RenderContext context, object? source)
    {
        if (source is Mapping mapping)
            return mapping.Entries;
        return Python.Items(context, source).Select(item => Python.Items(context, item) is [var key, var value]
            ? (key, value) : throw new TemplateFault("a dict is made of a mapping or of pairs"));
    }
}
