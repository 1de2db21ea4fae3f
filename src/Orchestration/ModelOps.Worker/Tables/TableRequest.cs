using System.Globalization;

namespace ModelOps.Worker.Tables;

/// <summary>The command line of <see cref="TablesProgram"/>.</summary>
internal sealed record TableRequest
{
    private static readonly string[] Actions = ["show", "rows", "history"];

    public required string Action { get; init; }

    /// <summary>A folder, or s3://bucket/prefix.</summary>
    public required string Path { get; init; }

    public long? Version { get; init; }

    public DateTimeOffset? Time { get; init; }

    public IReadOnlyList<string>? Columns { get; init; }

    public string? Where { get; init; }

    public long? Limit { get; init; }

    public string? Out { get; init; }

    /// <exception cref="ArgumentException">It is not understood.</exception>
    public static TableRequest Parse(string[] args)
    {
        if (args.Length < 2 || !Actions.Contains(args[0], StringComparer.Ordinal) || args.Length % 2 != 0)
            throw new ArgumentException("expected: tables show|rows|history PATH[@version] [--columns A,B] [--where CONDITION] [--limit N] [--out FILE]", nameof(args));
        var options = new Dictionary<string, string>(StringComparer.Ordinal);
        for (var i = 2; i < args.Length; i += 2) options[args[i]] = args[i + 1];
        var (path, version, time) = Split(args[1]);
        return new()
        {
            Action = args[0],
            Path = path,
            Version = version,
            Time = time,
            Columns = options.GetValueOrDefault("--columns")?.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries),
            Where = options.GetValueOrDefault("--where"),
            Limit = options.GetValueOrDefault("--limit") is { } limit ? long.Parse(limit, CultureInfo.InvariantCulture) : null,
            Out = options.GetValueOrDefault("--out"),
        };
    }

    /// <summary>What is behind the last '@' is a version or a time; if it is neither, it is part of the path.</summary>
    private static (string Path, long? Version, DateTimeOffset? Time) Split(string text)
    {
        var at = text.LastIndexOf('@');
        if (at <= 0) return (text, null, null);
        var (path, behind) = (text[..at], text[(at + 1)..]);
        if (long.TryParse(behind, NumberStyles.None, CultureInfo.InvariantCulture, out var version)) return (path, version, null);
        return DateTimeOffset.TryParse(behind, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var time) && char.IsAsciiDigit(behind[0])
            ? (path, null, time)
            : (text, null, null);
    }
}
