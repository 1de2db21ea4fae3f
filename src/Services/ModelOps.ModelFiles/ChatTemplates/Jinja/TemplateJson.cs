using System.Globalization;
using System.Text;

namespace ModelOps.ModelFiles.ChatTemplates.Jinja;

/// <summary>The <c>tojson</c> filter as transformers defines it: Python's <c>json.dumps</c>, without Jinja's HTML escapes.</summary>
internal sealed class TemplateJson(RenderContext context, string? indent, string itemSeparator, string keySeparator, bool ensureAscii, bool sortKeys)
{
    private readonly StringBuilder result = new();

    public static object? Filter(RenderContext context, object? value, Arguments arguments)
    {
        var indent = arguments[1] switch
        {
            null => null,
            string text => text,
            _ => new string(' ', (int)Math.Clamp(arguments.Integer(1, 0), 0, 64)),
        };
        string[] separators = arguments[2] is null
            ? [indent is null ? ", " : ",", ": "]
            : [.. Python.Items(context, arguments[2]).Select(PythonText.Of)];
        if (separators.Length != 2)
            throw new TemplateFault("tojson() takes two separators");
        var json = new TemplateJson(context, indent, separators[0], separators[1], ensureAscii: arguments.Flag(0), sortKeys: arguments.Flag(3));
        json.Append(value, depth: 0);
        context.Allocate(json.result.Length);
        return json.result.ToString();
    }

    private void Append(object? value, int depth)
    {
        RenderContext.CheckStack();
        context.Step();
        switch (value)
        {
            case null: result.Append("null"); break;
            case bool flag: result.Append(flag ? "true" : "false"); break;
            case long number: result.Append(number); break;
            case double number: result.Append(Number(number)); break;
            case string text: AppendText(text); break;
            case List<object?> list: AppendList(list, depth); break;
            case JinjaTuple tuple: AppendList(tuple.Items, depth); break;
            case Mapping mapping: AppendMapping(mapping, depth); break;
            default: throw new TemplateFault($"Object of type {Python.TypeName(value)} is not JSON serializable");
        }
    }

    private void AppendList(IReadOnlyList<object?> items, int depth)
    {
        result.Append('[');
        for (var index = 0; index < items.Count; index++)
        {
            StartItem(index == 0, depth + 1);
            Append(items[index], depth + 1);
        }
        EndItems(items.Count == 0, depth);
        result.Append(']');
    }

    private void AppendMapping(Mapping mapping, int depth)
    {
        var entries = mapping.Entries.Select(entry => (Key: KeyText(entry.Key), entry.Value));
        if (sortKeys)
            entries = entries.OrderBy(entry => entry.Key, StringComparer.Ordinal);
        result.Append('{');
        var first = true;
        foreach (var (key, value) in entries)
        {
            StartItem(first, depth + 1);
            AppendText(key);
            result.Append(keySeparator);
            Append(value, depth + 1);
            first = false;
        }
        EndItems(first, depth);
        result.Append('}');
    }

    private void StartItem(bool first, int depth)
    {
        result.Append(first ? "" : itemSeparator);
        NewLine(depth);
    }

    private void EndItems(bool empty, int depth)
    {
        if (!empty)
            NewLine(depth);
    }

    private void NewLine(int depth)
    {
        if (indent is null)
            return;
        context.Allocate(indent.Length * (long)depth);
        result.Append('\n').Insert(result.Length, indent, depth);
    }

    private static string KeyText(object? key) => key switch
    {
        string text => text,
        null => "null",
        bool flag => flag ? "true" : "false",
        long number => number.ToString(CultureInfo.InvariantCulture),
        double number => Number(number),
        _ => throw new TemplateFault($"keys must be str, int, float, bool or None, not {Python.TypeName(key)}"),
    };

    private static string Number(double value) =>
        double.IsNaN(value) ? "NaN" : double.IsInfinity(value) ? (value > 0 ? "Infinity" : "-Infinity") : PythonText.Float(value);

    private void AppendText(string text)
    {
        context.Allocate(text.Length);
        result.Append('"');
        foreach (var character in text)
        {
            switch (character)
            {
                case '"': result.Append("\\\""); break;
                case '\\': result.Append("\\\\"); break;
                case '\n': result.Append("\\n"); break;
                case '\r': result.Append("\\r"); break;
                case '\t': result.Append("\\t"); break;
                case '\b': result.Append("\\b"); break;
                case '\f': result.Append("\\f"); break;
                case < ' ':
                case > '~' when ensureAscii:
                    result.Append("\\u").Append(((int)character).ToString("x4", CultureInfo.InvariantCulture));
                    break;
                default: result.Append(character); break;
            }
        }
        result.Append('"');
    }
}
