using System.Globalization;

namespace ModelOps.Server.Workers;

/// <summary>How a worker process ended, in words: what happened, and what to do about it.</summary>
public static class WorkerExit
{
    private const int SignalBase = 128; // what the runtime makes of a signal

    private static readonly Dictionary<int, (string Name, string Advice)> signals = new()
    {
        [4] = ("SIGILL", "this processor lacks an instruction that its native code uses"),
        [6] = ("SIGABRT", "its native code gave up, often for want of memory or for a file that it cannot read; its last words say more"),
        [7] = ("SIGBUS", "memory or a mapped file was taken away from it; look at the disk's free space"),
        [8] = ("SIGFPE", "its native code divided by zero"),
        [9] = ("SIGKILL", "somebody killed it, most often the system for want of memory: use a smaller model, batch or sequence length, or free memory"),
        [11] = ("SIGSEGV", "its native code read or wrote memory that is not its own"),
        [15] = ("SIGTERM", "somebody told it to stop"),
    };

    /// <summary>What follows "the training worker …".</summary>
    public static string Describe(int exitCode) => exitCode <= SignalBase
        ? string.Create(CultureInfo.InvariantCulture, $"exited with code {exitCode}")
        : signals.TryGetValue(exitCode - SignalBase, out var signal)
            ? string.Create(CultureInfo.InvariantCulture, $"was ended by {signal.Name} (signal {exitCode - SignalBase}): {signal.Advice}")
            : string.Create(CultureInfo.InvariantCulture, $"was ended by signal {exitCode - SignalBase}");
}
