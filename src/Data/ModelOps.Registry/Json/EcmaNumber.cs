using System.Globalization;

namespace ModelOps.Registry;

/// <summary>Number::toString of ECMA-262 (§6.1.6.1.20) for base 10, as RFC 8785 §3.2.2.3 asks.</summary>
internal static class EcmaNumber
{
    public static string Format(double value)
    {
        if (value == 0)
            return "0"; // minus zero too

        var sign = value < 0 ? "-" : "";
        var (digits, point) = ShortestDigits(Math.Abs(value));
        return sign + Place(digits, point);
    }

    /// <summary>Puts the decimal point after <paramref name="point"/> digits, or writes an exponent where ECMAScript does.</summary>
    private static string Place(string digits, int point) => point switch
    {
        > 21 or <= -6 => WithExponent(digits, point - 1),
        <= 0 => "0." + new string('0', -point) + digits,
        _ when digits.Length <= point => digits.PadRight(point, '0'),
        _ => digits[..point] + "." + digits[point..],
    };

    private static string WithExponent(string digits, int exponent)
    {
        var mantissa = digits.Length == 1 ? digits : digits[..1] + "." + digits[1..];
        return string.Create(CultureInfo.InvariantCulture, $"{mantissa}e{(exponent < 0 ? "-" : "+")}{Math.Abs(exponent)}");
    }

    /// <returns>The fewest digits that read back as the value, and how many of them stand before the decimal point.</returns>
    private static (string Digits, int Point) ShortestDigits(double value)
    {
        var text = value.ToString("R", CultureInfo.InvariantCulture);
        var exponentAt = text.IndexOf('E', StringComparison.Ordinal);
        var exponent = exponentAt < 0 ? 0 : int.Parse(text.AsSpan(exponentAt + 1), CultureInfo.InvariantCulture);
        var mantissa = exponentAt < 0 ? text : text[..exponentAt];

        var dot = mantissa.IndexOf('.', StringComparison.Ordinal);
        var whole = dot < 0 ? mantissa : mantissa[..dot];
        var all = dot < 0 ? mantissa : whole + mantissa[(dot + 1)..];
        var significant = all.TrimStart('0');
        var leadingZeros = all.Length - significant.Length;
        return (significant.TrimEnd('0'), whole.Length - leadingZeros + exponent);
    }
}
