using System.Globalization;
using System.Text;

namespace ModelOps.ModelFiles.ChatTemplates.Jinja;

/// <summary>Values as text: Python's <c>str()</c> and <c>repr()</c>.</summary>
internal static class PythonText
{
    public static string Of(object? value) => value switch
    {
        string text => text,
        Undefined => "",
        _ => Repr(value),
    };

    public static string Repr(object? value)
    {
        switch (value)
        {
            case null: return "None";
            case bool flag: return flag ? "True" : "False";
            case long number: return number.ToString(CultureInfo.InvariantCulture);
            case double number: return Float(number);
            case Undefined: return "Undefined";
            default:
                var result = new StringBuilder();
                Append(result, value);
                return result.ToString();
        }
    }

    /// <summary>The shortest digits that read back as the same number, in Python's notation: 1.0, 1e+16, 1e-05, inf.</summary>
    public static string Float(double value)
    {
        if (!double.IsFinite(value))
            return double.IsNaN(value) ? "nan" : value > 0 ? "inf" : "-inf";
        var text = value.ToString("E16", CultureInfo.InvariantCulture);
        var exponent = int.Parse(text.AsSpan(text.IndexOf('E') + 1), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture);
        var shortest = value.ToString("R", CultureInfo.InvariantCulture);
        if (value != 0 && exponent is < -4 or >= 16)
            return Scientific(shortest, exponent);
        var plain = shortest.Contains('E') ? ((decimal)value).ToString(CultureInfo.InvariantCulture) : shortest;
        return plain.Contains('.') ? plain : plain + ".0";
    }

    private static string Scientific(string shortest, int exponent)
    {
        var sign = shortest[0] == '-' ? "-" : "";
        var mantissa = shortest.Split('E')[0];
        var digits = mantissa.Replace("-", "").Replace(".", "").Trim('0');
        var fraction = digits.Length > 1 ? $".{digits[1..]}" : "";
        return $"{sign}{digits[0]}{fraction}e{(exponent < 0 ? '-' : '+')}{Math.Abs(exponent):00}";
    }

    private static void Append(StringBuilder result, object? value)
    {
        RenderContext.Visit(value);
        switch (value)
        {
            case string text: AppendQuoted(result, text); break;
            case List<object?> list: AppendAll(result, "[", list, "]"); break;
            case JinjaTuple { Items: [var only] }: AppendAll(result, "(", [only], ",)"); break;
            case JinjaTuple tuple: AppendAll(result, "(", tuple.Items, ")"); break;
            case Mapping mapping: AppendMapping(result, mapping); break;
            case null or bool or long or double or Undefined: AppendScalar(result, Repr(value)); break;
            default: result.Append('<').Append(Python.TypeName(value)).Append('>'); break;
        }
    }

    private static void AppendScalar(StringBuilder result, string text)
    {
        RenderContext.AllocateText(text.Length);
        result.Append(text);
    }

    private static void AppendAll(StringBuilder result, string open, IReadOnlyList<object?> items, string close)
    {
        result.Append(open);
        for (var index = 0; index < items.Count; index++)
        {
            result.Append(index > 0 ? ", " : "");
            Append(result, items[index]);
        }
        result.Append(close);
    }

    private static void AppendMapping(StringBuilder result, Mapping mapping)
    {
        result.Append('{');
        foreach (var (key, value) in mapping.Entries)
        {
            Append(result, key);
            result.Append(": ");
            Append(result, value);
            result.Append(", ");
        }
        if (mapping.Count > 0)
            result.Length -= 2;
        result.Append('}');
    }

    private static void AppendQuoted(StringBuilder result, string text)
    {
        RenderContext.AllocateText(text.Length);
        var quote = text.Contains('\'') && !text.Contains('"') ? '"' : '\'';
        result.Append(quote);
        foreach (var rune in text.EnumerateRunes())
        {
            if (rune.Value == quote || rune.Value == '\\')
                result.Append('\\').Append((char)rune.Value);
            else if (rune.Value is '\n' or '\r' or '\t')
                result.Append(rune.Value switch { '\n' => "\\n", '\r' => "\\r", _ => "\\t" });
            else if (IsPrintable(rune))
                result.Append(rune.ToString());
            else
                result.Append(rune.Value switch { <= 0xFF => $"\\x{rune.Value:x2}", <= 0xFFFF => $"\\u{rune.Value:x4}", _ => $"\\U{rune.Value:x8}" });
        }
        result.Append(quote);
    }

    private static bool IsPrintable(Rune rune) => rune.Value == ' ' || Rune.GetUnicodeCategory(rune) is not (
        UnicodeCategory.Control or UnicodeCategory.Format or UnicodeCategory.Surrogate or UnicodeCategory.PrivateUse
        or UnicodeCategory.OtherNotAssigned or UnicodeCategory.SpaceSeparator or UnicodeCategory.LineSeparator or UnicodeCategory.ParagraphSeparator);
}
