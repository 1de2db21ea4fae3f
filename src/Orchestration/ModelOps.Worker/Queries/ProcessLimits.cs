using System.Globalization;
using System.Runtime.InteropServices;

namespace ModelOps.Worker.Queries;

/// <summary>setrlimit(2): what this process may take of the machine.</summary>
internal static partial class ProcessLimits
{
    private const int FileSize = 1; // RLIMIT_FSIZE
    private const int Data = 2; // RLIMIT_DATA

    // What is not DuckDB's: the runtime, a page of rows on its way out.
    private const long Overhead = 256 << 20;

    /// <param name="memory">Bytes beyond what the process has now; more is not given, and DuckDB says so.</param>
    /// <param name="file">Bytes of any file that it writes.</param>
    public static void Apply(long memory, long file)
    {
        Set(Data, DataBytes() + memory + Overhead);
        Set(FileSize, file);
    }

    private static long DataBytes()
    {
        var line = File.ReadLines("/proc/self/status").First(line => line.StartsWith("VmData:", StringComparison.Ordinal));
        return long.Parse(line.AsSpan("VmData:".Length, line.Length - "VmData:".Length - "kB".Length), NumberStyles.AllowLeadingWhite | NumberStyles.AllowTrailingWhite, CultureInfo.InvariantCulture) << 10;
    }

    private static void Set(int resource, long bytes)
    {
        var limit = new Limit { Current = (ulong)bytes, Most = (ulong)bytes };
        if (SetLimit(resource, in limit) != 0) throw new InvalidOperationException($"limit {resource} cannot be set: {Marshal.GetLastPInvokeErrorMessage()}");
    }

    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    [LibraryImport("libc", EntryPoint = "setrlimit", SetLastError = true)]
    private static partial int SetLimit(int resource, in Limit limit);

    [StructLayout(LayoutKind.Sequential)]
    private struct Limit
    {
        public ulong Current;
        public ulong Most;
    }
}
