namespace ModelOps.Cli.Output;

/// <summary>Text that people paste into a shell.</summary>
internal static class Shell
{
    private const string Plain = "-_./:@%+=,~";

    /// <summary>The word as it is where it means itself, else in single quotes.</summary>
    public static string Quoted(string word) =>
        word.Length > 0 && word.All(c => char.IsAsciiLetterOrDigit(c) || Plain.Contains(c, StringComparison.Ordinal))
            ? word
            : $"'{word.Replace("'", @"'\''", StringComparison.Ordinal)}'";
}
