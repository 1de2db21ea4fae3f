using System.Globalization;

namespace ModelOps.ModelFiles.ChatTemplates.Jinja;

internal static class NumberFilters
{
    public static NativeFunction[] All { get; } =
    [
        new("int", "default? base?", (_, value, arguments) => ToInt(value, (int)arguments.Integer(1, 10)) ?? (arguments.Has(0) ? arguments[0] : 0L)),
        new("float", "default?", (_, value, arguments) => ToFloat(value) ?? (arguments.Has(0) ? arguments[0] : 0.0)),
        new("abs", "", (_, value, _) => Abs(value)),
        new("round", "precision? method?", (_, value, arguments) => Round(value, (int)Math.Clamp(arguments.Integer(0, 0), 0, 15), arguments.Text(1, "common"))),
    ];

    private static object? ToInt(object? value, int radix)
    {
        switch (value)
        {
            case Undefined undefined: throw new TemplateFault(undefined.Message);
            case bool flag: return flag ? 1L : 0L;
            case long: return value;
            case double number when Math.Abs(number) < long.MaxValue: return (long)number;
            case string text when radix == 10 && long.TryParse(text.Trim().Replace("_", ""), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var whole): return whole;
            case string text when radix == 10 && ToFloat(text) is double number && Math.Abs(number) < long.MaxValue: return (long)number;
            case string text when radix is 2 or 8 or 16: return FromRadix(text.Trim().ToLowerInvariant(), radix);
            default: return null;
        }
    }

    private static long? FromRadix(string text, int radix)
    {
        var prefix = radix switch { 2 => "0b", 8 => "0o", _ => "0x" };
        try
        {
            return Convert.ToInt64(text.StartsWith(prefix) ? text[2..] : text, radix);
        }
        catch (Exception exception) when (exception is FormatException or OverflowException or ArgumentException)
        {
            return null;
        }
    }

    private static object? ToFloat(object? value) => value switch
    {
        Undefined or bool or long or double => Python.ToDouble(value),
        string text when double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var number) => number,
        _ => null,
    };

    private static object? Abs(object? value) => value switch
    {
        long.MinValue => throw new TemplateFault("the result of abs does not fit in 64 bits"),
        _ when Python.TryWhole(value, out var whole) => (object)Math.Abs(whole),
        _ => Math.Abs(Python.ToDouble(value)),
    };

    private static object Round(object? value, int precision, string method)
    {
        if (value is Undefined undefined)
            throw new TemplateFault(undefined.Message);
        if (method == "common" && Python.TryWhole(value, out var whole))
            return whole;
        var (number, scale) = (Python.ToDouble(value), Math.Pow(10, precision));
        return method switch
        {
            "common" => Math.Round(number, precision, MidpointRounding.ToEven),
            "ceil" => Math.Ceiling(number * scale) / scale,
            "floor" => Math.Floor(number * scale) / scale,
            _ => throw new TemplateFault("method must be common, ceil or floor"),
        };
    }
}
