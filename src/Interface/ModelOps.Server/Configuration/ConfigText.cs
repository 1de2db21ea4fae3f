using System.Collections;
using System.ComponentModel.DataAnnotations;
using System.Globalization;
using System.Text.Json;

namespace ModelOps.Server.Configuration;

/// <summary>Values as people write them.</summary>
public static class ConfigText
{
    private static readonly (string Unit, TimeSpan Length)[] units =
    [
        ("d", TimeSpan.FromDays(1)), ("h", TimeSpan.FromHours(1)), ("m", TimeSpan.FromMinutes(1)), ("s", TimeSpan.FromSeconds(1)),
        ("ms", TimeSpan.FromMilliseconds(1)),
    ];

    public static bool IsScalar(Type type) => type.IsEnum || Type.GetTypeCode(type) is not (TypeCode.Object or TypeCode.Empty or TypeCode.DBNull)
        || type == typeof(TimeSpan) || type == typeof(Uri) || type == typeof(DateTimeOffset);

    /// <summary>Null when the text is no value of the type.</summary>
    public static object? Parse(Type type, string text)
    {
        if (type == typeof(string)) return text;
        if (type == typeof(TimeSpan)) return Duration(text);
        if (type == typeof(Uri)) return Uri.TryCreate(text, UriKind.Absolute, out var uri) ? uri : null;
        if (type == typeof(DateTimeOffset))
            return DateTimeOffset.TryParse(text, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var time) ? time : null;
        if (type.IsEnum) return Enum.GetValues(type).Cast<object>().FirstOrDefault(value => string.Equals(Name(value), text, StringComparison.OrdinalIgnoreCase));
        try
        {
            var value = Convert.ChangeType(text, type, CultureInfo.InvariantCulture);
            return value is double number && !double.IsFinite(number) ? null : value;
        }
        catch (Exception e) when (e is FormatException or OverflowException)
        {
            return null;
        }
    }

    public static string? Format(object? value) => value switch
    {
        null => null,
        string text => text,
        bool flag => flag ? "true" : "false",
        TimeSpan time => Duration(time),
        Enum choice => Name(choice),
        IFormattable formattable => formattable.ToString(null, CultureInfo.InvariantCulture),
        IEnumerable items => string.Join(',', items.Cast<object?>().Select(Format)),
        _ => value.ToString(),
    };

    /// <summary>What a value of the type looks like: "a whole number".</summary>
    public static string Kind(Type type) => Type.GetTypeCode(type) switch
    {
        _ when type.IsEnum => $"one of {string.Join(", ", Names(type))}",
        _ when type == typeof(TimeSpan) => "a time such as 500ms, 30s, 15m, 12h or 30d",
        _ when type == typeof(Uri) => "an absolute address such as https://host:port",
        _ when type == typeof(DateTimeOffset) => "a date and time such as 2030-01-31T12:00:00Z",
        TypeCode.Boolean => "true or false",
        TypeCode.Single or TypeCode.Double or TypeCode.Decimal => "a number",
        TypeCode.String or TypeCode.Char => "text",
        _ => "a whole number",
    };

    /// <summary>What a rule allows; null for a rule that says nothing a reader could use before breaking it.</summary>
    public static string? Allowed(ValidationAttribute rule) => rule switch
    {
        { ErrorMessage: { } message } => message,
        RangeAttribute range => $"from {Bound(range, range.Minimum)} to {Bound(range, range.Maximum)}",
        StringLengthAttribute { MinimumLength: > 0 } length => $"{length.MinimumLength} to {length.MaximumLength} characters",
        StringLengthAttribute length => $"at most {length.MaximumLength} characters",
        LengthAttribute length => $"{length.MinimumLength} to {length.MaximumLength} long",
        MinLengthAttribute length => $"at least {length.Length} long",
        MaxLengthAttribute length => $"at most {length.Length} long",
        AllowedValuesAttribute values => $"one of {string.Join(", ", values.Values.Select(Format))}",
        RegularExpressionAttribute pattern => $"text that matches {pattern.Pattern}",
        RequiredAttribute => "not empty",
        _ => null,
    };

    public static IEnumerable<string> Names(Type type) => Enum.GetValues(type).Cast<object>().Select(Name);

    // A range of times has its ends as text.
    private static string? Bound(RangeAttribute range, object end) =>
        Format(end is string text && range.OperandType == typeof(TimeSpan) ? Parse(typeof(TimeSpan), text) : end);

    private static string Name(object value) => JsonNamingPolicy.SnakeCaseLower.ConvertName(value.ToString()!);

    private static TimeSpan? Duration(string text)
    {
        foreach (var (unit, length) in units.OrderByDescending(unit => unit.Unit.Length))
            if (text.EndsWith(unit, StringComparison.Ordinal))
                return double.TryParse(text[..^unit.Length], NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var count)
                    && count < TimeSpan.MaxValue / length ? length * count : null;
        return TimeSpan.TryParseExact(text, "c", CultureInfo.InvariantCulture, out var time) ? time : null;
    }

    private static string Duration(TimeSpan time)
    {
        if (time == TimeSpan.Zero) return "0s";
        var (unit, length) = Array.Find(units, unit => time.Ticks % unit.Length.Ticks == 0);
        return unit is null ? time.ToString("c", CultureInfo.InvariantCulture) : string.Create(CultureInfo.InvariantCulture, $"{time.Ticks / length.Ticks}{unit}");
    }
}
