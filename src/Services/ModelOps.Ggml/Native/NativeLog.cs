using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace ModelOps.Ggml.Native;

/// <summary>Carries llama.cpp's and ggml's log lines into an <see cref="ILogger"/>, and into the message of the call that failed.</summary>
internal static unsafe class NativeLog
{
    private static volatile ILogger sink = NullLogger.Instance;

    // A line comes in parts, always on the thread that makes it.
    [ThreadStatic]
    private static StringBuilder? line;

    [ThreadStatic]
    private static LogLevel level;

    [ThreadStatic]
    private static List<(LogLevel Level, string Text)>? captured;

    public static ILogger Sink
    {
        get => sink;
        set => sink = value;
    }

    public static void Attach()
    {
        NativeLlama.LogSet(&Receive, null);
        NativeGgml.LogSet(&Receive, null);
    }

    /// <summary>Runs a native call and keeps its warnings and errors, one line each.</summary>
    public static T Capture<T>(Func<T> call, out IReadOnlyList<string> problems) => Capture(call, out problems, out _);

    /// <param name="call">The native call.</param>
    /// <param name="problems">Its warnings and errors.</param>
    /// <param name="rest">All other lines.</param>
    public static T Capture<T>(Func<T> call, out IReadOnlyList<string> problems, out IReadOnlyList<string> rest)
    {
        var outer = captured;
        var lines = captured = [];
        try
        {
            return call();
        }
        finally
        {
            captured = outer;
            problems = [.. lines.Where(line => line.Level >= LogLevel.Warning).Select(line => line.Text)];
            rest = [.. lines.Where(line => line.Level < LogLevel.Warning).Select(line => line.Text)];
        }
    }

    public static string Reason(IReadOnlyList<string> problems) =>
        problems.Count == 0 ? "it gives no reason" : string.Join("; ", problems);

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static void Receive(int nativeLevel, byte* text, void* data)
    {
        try
        {
            Append(nativeLevel, Marshal.PtrToStringUTF8((nint)text) ?? "");
        }
        catch (Exception)
        {
            // An exception must not cross into native code, and a log line is not worth the process.
        }
    }

    private static void Append(int nativeLevel, string text)
    {
        const int continued = 5;
        line ??= new StringBuilder();
        if (nativeLevel != continued) level = Level(nativeLevel);
        line.Append(text);
        if (!text.EndsWith('\n')) return;

        var complete = line.ToString().Trim();
        line.Clear();
        if (complete.Length == 0) return;
        captured?.Add((level, complete));
        sink.Native(level, complete);
    }

    // ggml_log_level. What llama.cpp calls information (a hundred lines per model) is detail to an operator.
    private static LogLevel Level(int nativeLevel) => nativeLevel switch
    {
        2 => LogLevel.Debug,
        3 => LogLevel.Warning,
        4 => LogLevel.Error,
        _ => LogLevel.Trace,
    };
}
