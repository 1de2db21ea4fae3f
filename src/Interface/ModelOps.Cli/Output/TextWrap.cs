namespace ModelOps.Cli.Output;

/// <summary>Text in lines that fit.</summary>
internal static class TextWrap
{
    private const int Narrowest = 20;

    /// <summary>Broken at spaces; a word that is longer than a line has one of its own. At least one line, which may be empty.</summary>
    public static IReadOnlyList<string> Lines(string text, int width)
    {
        width = Math.Max(width, Narrowest);
        var lines = new List<string>();
        while (text.Length > width)
        {
            var space = text.LastIndexOf(' ', width);
            if (space <= 0) space = text.IndexOf(' ', width);
            if (space < 0) break;
            lines.Add(text[..space].TrimEnd());
            text = text[space..].TrimStart();
        }
        lines.Add(text);
        return lines;
    }
}
