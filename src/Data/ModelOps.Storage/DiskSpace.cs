namespace ModelOps.Storage;

public static class DiskSpace
{
    private const int NoSpace = 28; // ENOSPC
    private const int OverQuota = 122; // EDQUOT

    /// <summary>Whether a file could not be written because its disk is full; the message names the file.</summary>
    public static bool IsShort(Exception error) => error is IOException { HResult: NoSpace or OverQuota };
}
