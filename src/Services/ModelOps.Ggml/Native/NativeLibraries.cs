using System.Reflection;
using System.Runtime.InteropServices;

// The resolver below finds the libraries; whatever else one of them needs comes from the system.
[assembly: DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]

namespace ModelOps.Ggml.Native;

/// <summary>Finds the libraries that the build lays out in <c>native/llama</c> beside the application.</summary>
internal static class NativeLibraries
{
    public const string Llama = "libllama.v0.5.0.so";
    public const string Ggml = "libggml.v0.5.0.so";
    public const string Base = "libggml-base.so";

    public static string Folder { get; } = Path.Combine(AppContext.BaseDirectory, "native", "llama");

    /// <exception cref="GgmlException">A library is missing.</exception>
    public static void Check()
    {
        var missing = new[] { Base, Ggml, Llama }.Where(library => !File.Exists(Path.Combine(Folder, library))).ToArray();
        if (missing.Length > 0)
            throw new GgmlException(
                $"llama.cpp's libraries are missing in {Folder}: {string.Join(", ", missing)}. Lay them out with 'dotnet build native'.");
    }

    /// <summary>Loads by full path, whatever the loader's search path says.</summary>
    public static nint Resolve(string library, Assembly assembly, DllImportSearchPath? searchPath) =>
        library is Llama or Ggml or Base ? NativeLibrary.Load(Path.Combine(Folder, library)) : 0;
}
