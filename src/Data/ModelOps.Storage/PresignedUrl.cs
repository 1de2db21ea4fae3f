namespace ModelOps.Storage;

internal static class PresignedUrl
{
    private static readonly TimeSpan Shortest = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan Longest = TimeSpan.FromDays(7); // of Signature Version 4

    public static void CheckValidity(TimeSpan validity)
    {
        if (validity < Shortest || validity > Longest)
            throw new ArgumentOutOfRangeException(nameof(validity), validity, "a URL is valid for one minute to seven days");
    }
}
