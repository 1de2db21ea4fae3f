using System.Runtime.InteropServices;
using Microsoft.Extensions.Logging;
using ModelOps.Ggml.Native;

namespace ModelOps.Ggml;

/// <summary>
/// llama.cpp in this process. A failed assertion in native code aborts the process: it belongs into a worker, never into the gateway.
/// </summary>
public static class GgmlRuntime
{
    private static readonly Lock gate = new();
    private static bool initialized;
    private static bool resolving;

    /// <summary>
    /// Loads and checks the libraries once per process; later calls only replace the logger, if they bring one. Every entry point of this
    /// library calls it, so that calling it first is only needed for the log.
    /// </summary>
    /// <exception cref="GgmlException">The libraries are missing or not of the pinned build.</exception>
    public static void Initialize(ILogger? logger = null)
    {
        lock (gate)
        {
            if (logger is not null) NativeLog.Sink = logger;
            if (initialized) return;

            NativeLibraries.Check();
            if (!resolving) NativeLibrary.SetDllImportResolver(typeof(GgmlRuntime).Assembly, NativeLibraries.Resolve);
            resolving = true;
            NativeBuild.Verify(NativeBuild.Read());
            NativeLog.Attach();
            // Backends come first: without one, llama.cpp finds no device to load a model on.
            NativeGgml.LoadBackends(NativeLibraries.Folder);
            var devices = Devices();
            if (devices.Count == 0)
                throw new GgmlException(
                    $"No ggml backend in {NativeLibraries.Folder} works on this machine. Restore them with 'dotnet build native'.");
            NativeLlama.BackendInit();
            initialized = true;
            LogStart(NativeLog.Sink, devices);
        }
    }

    private static void LogStart(ILogger logger, List<string> devices)
    {
        if (logger.IsEnabled(LogLevel.Information))
            logger.RuntimeStarted(
                NativeBuild.Text(NativeLlama.Version()), NativeBuild.Text(NativeGgml.Commit()), string.Join(", ", devices));
    }

    private static List<string> Devices()
    {
        var devices = new List<string>();
        for (nuint i = 0; i < NativeGgml.DeviceCount(); i++)
        {
            var device = NativeGgml.Device(i);
            devices.Add($"{NativeBuild.Text(NativeGgml.DeviceName(device))} ({NativeBuild.Text(NativeGgml.DeviceDescription(device))})");
        }
        return devices;
    }
}
