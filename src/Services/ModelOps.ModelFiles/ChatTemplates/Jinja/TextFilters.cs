using System.Text;

namespace ModelOps.ModelFiles.ChatTemplates.Jinja;

internal static class TextFilters
{
    private const string TitleBoundaries = "-([{<";

    public static NativeFunction[] All { get; } =
    [
        Of("upper", "", (text, _) => text.ToUpperInvariant()),
        Of("lower", "", (text, _) => text.ToLowerInvariant()),
        Of("capitalize", "", (text, _) => PythonString.Capitalize(text)),
        Of("title", "", (text, _) => Title(text)),
        Of("string", "", (text, _) => text),
        Of("safe", "", (text, _) => text),
        Of("escape", "", (text, _) => Escape(text)),
        Of("e", "", (text, _) => Escape(text)),
        Of("urlencode", "", (text, _) => Uri.EscapeDataString(text).Replace("%2F", "/")),
        Of("wordcount", "", (text, _) => (long)text.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries).Length),
        Of("trim", "chars?", (text, arguments) =>
            PythonString.Strip(text, arguments[0] is null ? null : arguments.Text(0), left: true, right: true)),
        new("replace", "old new count?", (context, value, arguments) => PythonString.Replace(
            context, PythonText.Of(value), PythonText.Of(arguments[0]), PythonText.Of(arguments[1]), arguments.Integer(2, -1))),
        new("indent", "width? first? blank?", (context, value, arguments) => Indent(context, PythonText.Of(value), arguments)),
        new("truncate", "length? killwords? end? leeway?", (_, value, arguments) => Truncate(PythonText.Of(value), arguments)),
        new("center", "width?", (context, value, arguments) => Center(context, PythonText.Of(value), arguments.Integer(0, 80))),
        new("format", "*", (context, value, arguments) => PrintfFormat.Apply(context, PythonText.Of(value), arguments.Positional)),
    ];

    private static NativeFunction Of(string name, string parameters, Func<string, Arguments, object?> body) =>
        new(name, parameters, (context, value, arguments) =>
        {
            var text = PythonText.Of(value);
            context.Allocate(text.Length);
            return body(text, arguments);
        });

    private static string Title(string text)
    {
        var result = new StringBuilder(text.Length);
        var starts = true;
        foreach (var character in text)
        {
            result.Append(starts ? char.ToUpperInvariant(character) : char.ToLowerInvariant(character));
            starts = PythonString.IsSpace(character) || TitleBoundaries.Contains(character);
        }
        return result.ToString();
    }

    private static string Escape(string text) =>
        text.Replace("&", "&amp;").Replace("<", "&lt;").Replace(">", "&gt;").Replace("\"", "&#34;").Replace("'", "&#39;");

    private static string Indent(RenderContext context, string text, Arguments arguments)
    {
        var indent = arguments[0] is string given ? given : new string(' ', (int)Math.Clamp(arguments.Integer(0, 4), 0, 1000));
        var (first, blank) = (arguments.Flag(1), arguments.Flag(2));
        var lines = PythonString.Lines(text + "\n", keepEnds: false);
        context.Allocate(text.Length + (lines.Count * (long)indent.Length));
        return string.Join('\n', lines.Select((line, index) =>
            (index == 0 ? first : blank || line.Length > 0) ? indent + line : line));
    }

    private static string Truncate(string text, Arguments arguments)
    {
        var (length, end) = ((int)Math.Clamp(arguments.Integer(0, 255), 0, int.MaxValue / 2), arguments.Text(2, "..."));
        if (length < end.Length)
            throw new TemplateFault($"expected length >= {end.Length}, got {length}");
        if (text.Length <= length + arguments.Integer(3, 5))
            return text;
        var cut = text[..(length - end.Length)];
        var lastSpace = arguments.Flag(1) ? -1 : cut.LastIndexOf(' ');
        return (lastSpace < 0 ? cut : cut[..lastSpace]) + end;
    }

    private static string Center(RenderContext context, string text, long width)
    {
        context.Allocate(width);
        return PythonString.Center(text, (int)Math.Max(width, text.Length), ' ');
    }
}
