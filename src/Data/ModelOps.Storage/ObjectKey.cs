using System.Text;

namespace ModelOps.Storage;

/// <summary>The rules of keys: one set for every store, so that objects can move between stores.</summary>
internal static class ObjectKey
{
    /// <summary>First segment that no key may have: a file store keeps unfinished puts there.</summary>
    public const string Reserved = ".incoming";

    private const int MaxBytes = 1024; // S3
    private const int MaxSegmentBytes = 255; // Linux file systems
    private static readonly UTF8Encoding StrictUtf8 = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    /// <summary>The order of the UTF-8 bytes, which is how S3 lists.</summary>
    public static IComparer<string> Order { get; } = Comparer<string>.Create(Compare);

    /// <exception cref="ArgumentException">The key breaks a rule; the message names it.</exception>
    public static void Check(string key)
    {
        if (Fault(key) is { } fault) throw new ArgumentException($"'{key}' is no object key: {fault}", nameof(key));
    }

    /// <exception cref="ArgumentException">No key can begin so; the message says why.</exception>
    public static void CheckPrefix(string prefix)
    {
        var folders = prefix.LastIndexOf('/');
        if (folders >= 0 && Fault(prefix[..folders]) is { } fault)
            throw new ArgumentException($"'{prefix}' begins no object key: {fault}", nameof(prefix));
    }

    private static string? Fault(string key)
    {
        int bytes;
        try
        {
            bytes = StrictUtf8.GetByteCount(key);
        }
        catch (EncoderFallbackException)
        {
            return "it is not valid Unicode";
        }
        if (bytes > MaxBytes) return $"it has {bytes} bytes of {MaxBytes}";
        var segments = key.Split('/');
        if (segments[0] == Reserved) return $"{Reserved} is kept for unfinished puts";
        return segments.Select(SegmentFault).FirstOrDefault(fault => fault is not null);
    }

    private static string? SegmentFault(string segment) => segment switch
    {
        "" => "a segment between '/' is empty",
        "." or ".." => "'.' and '..' are no segments",
        _ when segment.Any(c => char.IsControl(c) || c == '\\') => "it has a control character or a backslash",
        _ when Encoding.UTF8.GetByteCount(segment) > MaxSegmentBytes => $"a segment has more than {MaxSegmentBytes} bytes",
        _ => null,
    };

    // UTF-16 orders like UTF-8 but for surrogates, which stand for code points above U+E000..U+FFFF.
    private static int Compare(string? left, string? right)
    {
        var common = left.AsSpan().CommonPrefixLength(right);
        if (common == left!.Length || common == right!.Length) return left.Length.CompareTo(right!.Length);
        return Rank(left[common]).CompareTo(Rank(right[common]));
    }

    private static int Rank(char c) => char.IsSurrogate(c) ? c + 0x10000 : c;
}
