using System.Globalization;
using System.Numerics;
using System.Text;

namespace ModelOps.ModelFiles.ChatTemplates.Jinja;

/// <summary>
/// Python's operators on numbers, strings and lists. Ints are 64 bits wide: beyond that is a fault, not a wrong number. A string and the arguments of a
/// tool call, which Python would refuse to add, make a string: templates such as DeepSeek's are written for arguments that are text.
/// </summary>
internal static class Arithmetic
{
    public static object? Signed(object? value, bool negates)
    {
        if (value is Undefined undefined)
            throw new TemplateFault(undefined.Message);
        if (Python.TryWhole(value, out var whole))
            return negates ? Checked("-", () => checked(-whole)) : whole;
        return value is double number ? (negates ? -number : number) : throw new TemplateFault($"bad operand type for unary sign: '{Python.TypeName(value)}'");
    }

    public static object? Apply(RenderContext context, string symbol, object? left, object? right)
    {
        foreach (var operand in (ReadOnlySpan<object?>)[left, right])
        {
            if (operand is Undefined undefined)
                throw new TemplateFault(undefined.Message);
        }
        if (Python.IsNumber(left) && Python.IsNumber(right))
        {
            return Python.TryWhole(left, out var first) && Python.TryWhole(right, out var second)
                ? Whole(symbol, first, second)
                : Real(symbol, Python.ToDouble(left), Python.ToDouble(right));
        }
        return (symbol, left, right) switch
        {
            ("+", string first, string second) => Joined(context, first, second),
            ("+", string first, Mapping { Json: { } second }) => Joined(context, first, second),
            ("+", Mapping { Json: { } first }, string second) => Joined(context, first, second),
            ("+", List<object?> first, List<object?> second) => Joined(context, first, second),
            ("+", JinjaTuple first, JinjaTuple second) => new JinjaTuple([.. Joined(context, first.Items, second.Items)]),
            ("*", string text, long or bool) => Repeated(context, text, right),
            ("*", long or bool, string text) => Repeated(context, text, left),
            ("*", List<object?> list, long or bool) => Repeated(context, list, right),
            ("*", long or bool, List<object?> list) => Repeated(context, list, left),
            ("%", string format, _) => PrintfFormat.Apply(context, format, right is JinjaTuple tuple ? tuple.Items : [right]),
            _ => throw new TemplateFault($"unsupported operand types for {symbol}: '{Python.TypeName(left)}' and '{Python.TypeName(right)}'"),
        };
    }

    /// <summary>An int where Python has an int, else a float.</summary>
    private static object? Whole(string symbol, long left, long right) => symbol switch
    {
        "/" => Real(symbol, left, right),
        "**" when right < 0 => Math.Pow(left, right),
        _ => (object)WholeResult(symbol, left, right),
    };

    private static long WholeResult(string symbol, long left, long right) => symbol switch
    {
        "+" => Checked(symbol, () => checked(left + right)),
        "-" => Checked(symbol, () => checked(left - right)),
        "*" => Checked(symbol, () => checked(left * right)),
        "//" => FloorDivide(left, NotZero(right)),
        "%" => right == -1 ? 0L : left - (FloorDivide(left, NotZero(right)) * right),
        _ => Checked(symbol, () => Power(left, right)),
    };

    private static double Real(string symbol, double left, double right) => symbol switch
    {
        "+" => left + right,
        "-" => left - right,
        "*" => left * right,
        "/" => left / NotZero(right),
        "//" => Math.Floor(left / NotZero(right)),
        "%" => left - (Math.Floor(left / NotZero(right)) * right),
        _ => Math.Pow(left, right),
    };

    private static long FloorDivide(long left, long right)
    {
        if (right == -1)
            return Checked("//", () => checked(-left));
        var (quotient, remainder) = Math.DivRem(left, right);
        return remainder != 0 && (remainder < 0) != (right < 0) ? quotient - 1 : quotient;
    }

    private static long Power(long value, long exponent)
    {
        if (value is 0 or 1 or -1)
            return exponent == 0 ? 1 : value == -1 && exponent % 2 == 0 ? 1 : value;
        long result = 1;
        for (; exponent > 0; exponent--)
            result = checked(result * value); // overflows before 64 rounds
        return result;
    }

    private static long Checked(string symbol, Func<long> compute)
    {
        try
        {
            return compute();
        }
        catch (OverflowException)
        {
            throw new TemplateFault($"the result of '{symbol}' does not fit in 64 bits");
        }
    }

    private static T NotZero<T>(T divisor) where T : INumber<T> =>
        T.IsZero(divisor) ? throw new TemplateFault("division by zero") : divisor;

    private static string Joined(RenderContext context, string left, string right)
    {
        context.Allocate((long)left.Length + right.Length);
        return left + right;
    }

    private static List<object?> Joined(RenderContext context, IReadOnlyCollection<object?> left, IReadOnlyCollection<object?> right)
    {
        context.Allocate((long)left.Count + right.Count);
        return [.. left, .. right];
    }

    private static string Repeated(RenderContext context, string text, object? times)
    {
        var count = Times(context, times, text.Length);
        return new StringBuilder().Insert(0, text, count).ToString();
    }

    private static List<object?> Repeated(RenderContext context, List<object?> list, object? times)
    {
        var count = Times(context, times, list.Count);
        return [.. Enumerable.Repeat(list, count).SelectMany(items => items)];
    }

    private static int Times(RenderContext context, object? times, int length)
    {
        Python.TryWhole(times, out var count);
        if (count <= 0 || length == 0)
            return 0;
        context.Allocate(Math.Min(count, int.MaxValue) * length);
        return (int)count;
    }
}

/// <summary>The <c>%</c> formatting of strings: <c>%s %r %d %i %f %x</c> with flags, width and precision.</summary>
internal static class PrintfFormat
{
    private const int MaximumWidth = 1000;

    public static string Apply(RenderContext context, string format, IReadOnlyList<object?> values)
    {
        var result = new StringBuilder();
        var next = 0;
        for (var index = 0; index < format.Length; index++)
        {
            if (format[index] != '%')
            {
                result.Append(format[index]);
                continue;
            }
            var start = ++index;
            while (index < format.Length && (char.IsAsciiDigit(format[index]) || format[index] is '-' or '+' or ' ' or '.' or '#'))
                index++;
            if (index == format.Length)
                throw new TemplateFault("incomplete format");
            if (format[index] == '%')
                result.Append('%');
            else if (next == values.Count)
                throw new TemplateFault("not enough arguments for format string");
            else
                result.Append(One(format[start..index], format[index], values[next++]));
        }
        if (next < values.Count)
            throw new TemplateFault("not all arguments converted during string formatting");
        context.Allocate(result.Length);
        return result.ToString();
    }

    private static string One(string specification, char conversion, object? value)
    {
        var flags = specification[..^specification.TrimStart('-', '+', ' ', '0', '#').Length];
        var numbers = specification[flags.Length..].Split('.');
        var width = Number(numbers[0]) ?? 0;
        var precision = numbers.Length > 1 ? Number(numbers[1]) ?? 0 : (int?)null;
        var text = conversion switch
        {
            's' => Cut(PythonText.Of(value), precision),
            'r' => Cut(PythonText.Repr(value), precision),
            'd' or 'i' => Integer(value).ToString(CultureInfo.InvariantCulture),
            'f' => Python.ToDouble(value).ToString($"F{precision ?? 6}", CultureInfo.InvariantCulture),
            'x' when Python.TryWhole(value, out var whole) => whole.ToString("x", CultureInfo.InvariantCulture),
            _ => throw new TemplateFault($"unsupported format character '{conversion}'"),
        };
        if (flags.Contains('+') && conversion is 'd' or 'i' or 'f' && text[0] != '-')
            text = '+' + text;
        return flags.Contains('-') ? text.PadRight(width)
            : flags.Contains('0') && conversion is not ('s' or 'r') ? text.PadLeft(width, '0')
            : text.PadLeft(width);
    }

    private static BigInteger Integer(object? value)
    {
        if (Python.TryWhole(value, out var whole))
            return whole;
        var number = Python.ToDouble(value);
        return double.IsFinite(number) ? new BigInteger(number) : throw new TemplateFault($"cannot convert float {PythonText.Float(number)} to integer");
    }

    private static string Cut(string text, int? length) => length < text.Length ? text[..length.Value] : text;

    private static int? Number(string digits) => digits.Length == 0 ? null
        : int.TryParse(digits, out var number) && number <= MaximumWidth ? number
        : throw new TemplateFault($"a format's width or precision is not a number up to {MaximumWidth}");
}
