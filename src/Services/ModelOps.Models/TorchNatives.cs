using System.Runtime.InteropServices;

namespace ModelOps.Models;

/// <summary>Loads libtorch from <c>native/torch</c> beside the application. Every entry into this project does it first.</summary>
public static class TorchNatives
{
    private static readonly Lazy<nint> library = new(LoadBinding);

    /// <summary>Idempotent; safe from any thread.</summary>
    /// <exception cref="DllNotFoundException">The library is not laid out, or it cannot be loaded here.</exception>
    public static void Load() => _ = library.Value;

    private static nint LoadBinding()
    {
        var path = Path.Combine(AppContext.BaseDirectory, "native", "torch", "libLibTorchSharp.so");
        if (!File.Exists(path))
            throw new DllNotFoundException($"{path} is missing: run `dotnet build native`, which lays out libtorch, then build again.");
        // With the binding already in the process, TorchSharp's own search by short name finds it.
        return NativeLibrary.Load(path);
    }
}
