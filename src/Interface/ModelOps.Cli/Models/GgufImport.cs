using System.Buffers.Binary;
using System.Globalization;
using System.Text.RegularExpressions;
using ModelOps.Cli.Output;

namespace ModelOps.Cli.Models;

/// <summary>A GGUF file to be imported, alone or in parts (<c>name-00001-of-00003.gguf</c>).</summary>
internal static partial class GgufImport
{
    public const string Kind = "gguf";
    public const string Extension = ".gguf";

    private const int HeaderBytes = 8;
    private const int OldestVersion = 2;
    private const int NewestVersion = 3;

    public static bool IsGguf(string path) => Path.GetExtension(path).Equals(Extension, StringComparison.OrdinalIgnoreCase);

    /// <summary>The file's name, and with it those of the other parts.</summary>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    /// <exception cref="ModelOps.Client.ModelOpsException">It is no GGUF file, or parts are missing; all are named.</exception>
    public static IReadOnlyList<string> FilesOf(string path)
    {
        if (!File.Exists(path)) throw new FileNotFoundException($"The file {Path.GetFullPath(path)} does not exist.");
        var folder = Path.GetDirectoryName(Path.GetFullPath(path))!;
        var names = PartsOf(Path.GetFileName(path));
        var faults = names.Select(name => Fault(Path.Combine(folder, name)) is { } fault ? $"{name} {fault}" : null).OfType<string>().ToList();
        return faults.Count == 0
            ? names
            : throw CliProblems.Exception(CliProblems.LocalFile, "Not a GGUF file", $"{Path.GetFullPath(path)} cannot be imported:", faults);
    }

    /// <summary>What the parts have in common, for the artifact's name.</summary>
    public static string StemOf(string path) => Part().Match(path) is { Success: true } part ? part.Groups["stem"].Value + Extension : path;

    private static List<string> PartsOf(string name)
    {
        if (Part().Match(name) is not { Success: true } part) return [name];
        var count = int.Parse(part.Groups["count"].ValueSpan, CultureInfo.InvariantCulture);
        return [.. Enumerable.Range(1, count).Select(number => $"{part.Groups["stem"].Value}-{number:D5}-of-{count:D5}{Extension}")];
    }

    private static string? Fault(string path)
    {
        if (!File.Exists(path)) return "is missing";
        using var file = File.OpenHandle(path);
        Span<byte> start = stackalloc byte[HeaderBytes];
        if (RandomAccess.Read(file, start, 0) < HeaderBytes || !start.StartsWith("GGUF"u8)) return "does not begin as a GGUF file does";
        var version = BinaryPrimitives.ReadUInt32LittleEndian(start[4..]);
        return version is >= OldestVersion and <= NewestVersion ? null : $"is GGUF version {version}; {OldestVersion} and {NewestVersion} are supported";
    }

    [GeneratedRegex(@"^(?<stem>.+)-[0-9]{5}-of-(?<count>[0-9]{5})\.gguf$", RegexOptions.ExplicitCapture | RegexOptions.CultureInvariant, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Part();
}
