using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text;

// Usage: TORCHSHARP_PACKAGE LIBTORCH_PACKAGE LLAMA_PACKAGE OUTPUT
const string nativeFolder = "runtimes/linux-x64/native";
const string binding = "libLibTorchSharp.so";
string[] testLibraries = ["libbackend_with_compiler.so", "libjitbackend_test.so", "libtorchbind_test.so", "libtorch_python.so", "libnnapi_backend.so", "libaoti_custom_ops.so"];

var (torchSharp, libtorch, llama, output) = (args[0], args[1], args[2], args[3]);
var torch = Directory.CreateDirectory(Path.Combine(output, "torch")).FullName;
var ggml = Directory.CreateDirectory(Path.Combine(output, "llama")).FullName;

foreach (var library in Directory.EnumerateFiles(Path.Combine(libtorch, nativeFolder)))
    if (!testLibraries.Contains(Path.GetFileName(library), StringComparer.Ordinal))
        Link(library, torch);
foreach (var library in Directory.EnumerateFiles(Path.Combine(llama, "bins/linux-x64"), "*.so"))
    Link(library, ggml);

var source = Path.Combine(torchSharp, nativeFolder, binding);
var target = Path.Combine(torch, binding);
File.Delete(target);
if (StandardLibrary.Has("_ZSt21ios_base_library_initv")) File.CreateSymbolicLink(target, source);
else File.WriteAllBytes(target, VersionNeeds.Weaken(File.ReadAllBytes(source), "GLIBCXX_3.4.32"));
return 0;

static void Link(string library, string folder)
{
    var link = Path.Combine(folder, Path.GetFileName(library));
    File.Delete(link);
    File.CreateSymbolicLink(link, Path.GetFullPath(library));
}

internal static class StandardLibrary
{
    public static bool Has(string symbol) =>
        NativeLibrary.TryLoad("libstdc++.so.6", out var handle) && NativeLibrary.TryGetExport(handle, symbol, out _);
}

/// <summary>
/// Edits the symbol versions that an ELF64 library asks for (System V ABI, section .gnu.version_r, LSB 3.0 §10.7).
/// </summary>
/// <remarks>
/// TorchSharp's binding is linked against a newer libstdc++ than Debian 12 has. The one symbol of that version,
/// <c>_ZSt21ios_base_library_initv</c>, has no relocation: it is never called, only asked for. Marking the version as weak
/// (VER_FLG_WEAK) lets the loader go on without it.
/// </remarks>
internal static class VersionNeeds
{
    private const uint GnuVersionNeed = 0x6ffffffe;
    private const ushort WeakFlag = 2;

    /// <returns>The same library with <paramref name="version"/> marked weak.</returns>
    /// <exception cref="InvalidDataException">The bytes are no ELF64 library, or it does not ask for that version.</exception>
    public static byte[] Weaken(byte[] elf, string version)
    {
        if (elf is not [0x7f, (byte)'E', (byte)'L', (byte)'F', 2, 1, ..])
            throw new InvalidDataException("not a little-endian ELF64 file");
        var found = false;
        foreach (var section in Sections(elf).Where(section => section.Type == GnuVersionNeed))
        {
            var names = Sections(elf).ElementAt((int)section.Link).Offset;
            foreach (var flags in Entries(elf, section.Offset).Where(entry => Name(elf, names + entry.Name) == version).Select(entry => entry.Flags))
            {
                elf[flags] |= (byte)WeakFlag;
                found = true;
            }
        }
        return found ? elf : throw new InvalidDataException($"the library does not ask for {version}");
    }

    private static IEnumerable<(uint Type, int Offset, uint Link)> Sections(byte[] elf)
    {
        var table = (int)BinaryPrimitives.ReadUInt64LittleEndian(elf.AsSpan(0x28));
        var size = BinaryPrimitives.ReadUInt16LittleEndian(elf.AsSpan(0x3a));
        var count = BinaryPrimitives.ReadUInt16LittleEndian(elf.AsSpan(0x3c));
        for (var i = 0; i < count; i++)
        {
            var at = table + i * size;
            yield return (
                BinaryPrimitives.ReadUInt32LittleEndian(elf.AsSpan(at + 4)),
                (int)BinaryPrimitives.ReadUInt64LittleEndian(elf.AsSpan(at + 24)),
                BinaryPrimitives.ReadUInt32LittleEndian(elf.AsSpan(at + 40)));
        }
    }

    /// <summary>Walks the Verneed records and their Vernaux chains; yields where the flags stand and the name's offset.</summary>
    private static IEnumerable<(int Flags, int Name)> Entries(byte[] elf, int need)
    {
        while (true)
        {
            var count = BinaryPrimitives.ReadUInt16LittleEndian(elf.AsSpan(need + 2));
            var entry = need + (int)BinaryPrimitives.ReadUInt32LittleEndian(elf.AsSpan(need + 8));
            for (var i = 0; i < count; i++)
            {
                yield return (entry + 4, (int)BinaryPrimitives.ReadUInt32LittleEndian(elf.AsSpan(entry + 8)));
                entry += (int)BinaryPrimitives.ReadUInt32LittleEndian(elf.AsSpan(entry + 12));
            }
            var next = (int)BinaryPrimitives.ReadUInt32LittleEndian(elf.AsSpan(need + 12));
            if (next == 0) yield break;
            need += next;
        }
    }

    private static string Name(byte[] elf, int offset) =>
        Encoding.ASCII.GetString(elf, offset, Array.IndexOf(elf, (byte)0, offset) - offset);
}
