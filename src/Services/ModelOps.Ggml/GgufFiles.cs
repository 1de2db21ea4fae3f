using System.Text.RegularExpressions;

namespace ModelOps.Ggml;

/// <summary>The model among the files of a folder.</summary>
public static partial class GgufFiles
{
    /// <returns>The folder's .gguf file; of a model in parts (<c>name-00001-of-00003.gguf</c>) the first, by which llama.cpp finds the others. Null where
    /// there is none or more than one model.</returns>
    public static string? ModelIn(string folder)
    {
        var files = Directory.GetFiles(folder, "*.gguf");
        return files.Length == 1 ? files[0] : files.Where(file => FirstPart().IsMatch(file)).ToList() is [var first] && files.All(Part().IsMatch) ? first : null;
    }

    [GeneratedRegex(@"-00001-of-[0-9]{5}\.gguf$", RegexOptions.CultureInvariant, matchTimeoutMilliseconds: 1000)]
    private static partial Regex FirstPart();

    [GeneratedRegex(@"-[0-9]{5}-of-[0-9]{5}\.gguf$", RegexOptions.CultureInvariant, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Part();
}
