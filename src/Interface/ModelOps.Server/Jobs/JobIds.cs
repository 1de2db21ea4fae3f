using System.Globalization;

namespace ModelOps.Server.Jobs;

/// <summary>
/// Ids of jobs sort in the order in which the jobs were made, whatever the clock says: UUIDs of version 7 whose first 60 bits, milliseconds and a
/// counter, are above those of the last one.
/// </summary>
internal static class JobIds
{
    private const string Prefix = "job-";
    private const int TimeDigits = 12;
    private const int CounterDigits = 3;

    /// <param name="last">The greatest id that there is; null: there is none.</param>
    public static string After(string? last, DateTimeOffset now)
    {
        var id = $"{Guid.CreateVersion7(now):N}";
        var first = Math.Max(Number($"{id[..TimeDigits]}{new string('0', CounterDigits)}"), last is null ? 0 : OrderOf(last) + 1);
        var digits = first.ToString($"x{TimeDigits + CounterDigits}", CultureInfo.InvariantCulture);
        return $"{Prefix}{digits[..TimeDigits]}7{digits[TimeDigits..]}{id[(TimeDigits + 1 + CounterDigits)..]}";
    }

    private static long OrderOf(string id)
    {
        var digits = id.AsSpan(Prefix.Length);
        return Number($"{digits[..TimeDigits]}{digits.Slice(TimeDigits + 1, CounterDigits)}");
    }

    private static long Number(string hex) => long.Parse(hex, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture);
}
