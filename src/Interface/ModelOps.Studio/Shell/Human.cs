using System.Globalization;

namespace ModelOps.Studio.Shell;

/// <summary>Numbers and times as people read them.</summary>
internal static class Human
{
    private static readonly string[] units = ["B", "kB", "MB", "GB", "TB"];

    public static string Bytes(long bytes)
    {
        double value = bytes;
        var unit = 0;
        while (value >= 999.5 && unit < units.Length - 1)
        {
            value /= 1000;
            unit++;
        }
        return unit == 0 || value >= 99.95 ? $"{value:0} {units[unit]}" : $"{value:0.0} {units[unit]}";
    }

    public static string Duration(TimeSpan time) => time.TotalSeconds switch
    {
        < 10 => $"{time.TotalSeconds:0.0} s",
        < 60 => $"{time.TotalSeconds:0} s",
        < 3600 => $"{(int)time.TotalMinutes} min {time.Seconds} s",
        < 86400 => $"{(int)time.TotalHours} h {time.Minutes} min",
        _ => $"{(int)time.TotalDays} d {time.Hours} h",
    };

    /// <summary>A part of something, short as it may be.</summary>
    public static string Span(TimeSpan time) => time.TotalSeconds < 1 ? string.Create(CultureInfo.InvariantCulture, $"{time.TotalMilliseconds:0.0} ms") : Duration(time);

    /// <summary>A guess at a time, in no finer numbers than a guess has.</summary>
    public static string About(double seconds) => seconds switch
    {
        < 90 => $"{Math.Max(1, Math.Round(seconds)):0} s",
        < 90 * 60 => $"{seconds / 60:0} min",
        < 48 * 3600 => $"{seconds / 3600:0} h",
        _ => $"{seconds / 86400:0} d",
    };

    public static string Count(long number) => number.ToString("#,0", CultureInfo.InvariantCulture);

    /// <summary>How long ago; of another day, the day.</summary>
    public static string Ago(DateTimeOffset time, DateTimeOffset now) => (now - time).TotalSeconds switch
    {
        < 10 => "just now",
        < 60 and var seconds => $"{seconds:0} s ago",
        < 3600 and var seconds => $"{(int)(seconds / 60)} min ago",
        < 86400 and var seconds => $"{(int)(seconds / 3600)} h ago",
        _ => time.UtcDateTime.ToString("yyyy-MM-dd", CultureInfo.InvariantCulture),
    };

    public static string Exact(DateTimeOffset time) => $"{time.UtcDateTime:yyyy-MM-dd HH:mm:ss} UTC";

    /// <summary>A word of the wire as a label: <c>learning_rate</c> becomes <c>learning rate</c>.</summary>
    public static string Words(string name) => name.Replace('_', ' ');

    public static string Metric(double value) => Math.Abs(value) switch
    {
        0 => "0",
        < 0.001 => value.ToString("0.0e0", CultureInfo.InvariantCulture),
        < 100 => value.ToString("0.####", CultureInfo.InvariantCulture),
        _ => value.ToString("#,0", CultureInfo.InvariantCulture),
    };
}
