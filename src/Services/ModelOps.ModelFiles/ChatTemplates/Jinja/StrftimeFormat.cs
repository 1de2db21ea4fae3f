using System.Globalization;
using System.Text;

namespace ModelOps.ModelFiles.ChatTemplates.Jinja;

/// <summary>C's <c>strftime</c> in the C locale, which is what dates in prompts are written with.</summary>
internal static class StrftimeFormat
{
    public static string Apply(DateTimeOffset time, string format)
    {
        var result = new StringBuilder();
        for (var index = 0; index < format.Length; index++)
        {
            if (format[index] != '%' || index + 1 == format.Length)
            {
                result.Append(format[index]);
                continue;
            }
            var unpadded = format[index + 1] == '-' && index + 2 < format.Length;
            index += unpadded ? 2 : 1;
            var text = Directive(time, format[index]);
            result.Append(unpadded && text.Length > 1 ? text.TrimStart('0', ' ') is { Length: > 0 } rest ? rest : "0" : text);
        }
        return result.ToString();
    }

    private static string Directive(DateTimeOffset time, char directive) => directive switch
    {
        'Y' => time.Year.ToString(CultureInfo.InvariantCulture),
        'y' => Net(time, "yy"),
        'm' => Net(time, "MM"),
        'd' => Net(time, "dd"),
        'e' => $"{time.Day,2}",
        'H' => Net(time, "HH"),
        'I' => Net(time, "hh"),
        'M' => Net(time, "mm"),
        'S' => Net(time, "ss"),
        'f' => Net(time, "ffffff"),
        'p' => Net(time, "tt"),
        'a' => Net(time, "ddd"),
        'A' => Net(time, "dddd"),
        'b' or 'h' => Net(time, "MMM"),
        'B' => Net(time, "MMMM"),
        'j' => $"{time.DayOfYear:000}",
        'u' => (((int)time.DayOfWeek + 6) % 7 + 1).ToString(CultureInfo.InvariantCulture),
        'w' => ((int)time.DayOfWeek).ToString(CultureInfo.InvariantCulture),
        'D' or 'x' => Net(time, "MM/dd/yy"),
        'F' => Net(time, "yyyy-MM-dd"),
        'T' or 'X' => Net(time, "HH:mm:ss"),
        'R' => Net(time, "HH:mm"),
        'c' => $"{Net(time, "ddd MMM")} {time.Day,2} {Net(time, "HH:mm:ss yyyy")}",
        's' => time.ToUnixTimeSeconds().ToString(CultureInfo.InvariantCulture),
        'n' => "\n",
        't' => "\t",
        'z' or 'Z' => "", // Python's datetime.now() knows no time zone
        '%' => "%",
        _ => $"%{directive}",
    };

    private static string Net(DateTimeOffset time, string format) => time.ToString(format, CultureInfo.InvariantCulture);
}
