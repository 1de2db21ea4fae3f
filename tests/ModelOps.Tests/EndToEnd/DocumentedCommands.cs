using System.Text.RegularExpressions;

namespace ModelOps.Tests.EndToEnd;

/// <summary>
/// A page's commands: the lines <c>$ …</c> of its <c>console</c> blocks, in order. What ends in a backslash goes on in the next line; <c># exit code 5</c> behind a
/// command says that it ends so. Other lines of the block are output, in which <c>…</c> stands for anything.
/// </summary>
/// <param name="Files">Blocks whose first line is a comment with a file's name: <c># recipe.yaml</c>.</param>
/// <param name="Untested">Lines of <c>modelops</c> in blocks of another kind than <c>text</c>, which says that they cannot be run here.</param>
internal sealed partial record DocumentedCommands(
    IReadOnlyList<DocumentedCommand> Commands, IReadOnlyDictionary<string, string> Files, IReadOnlyList<string> Untested)
{
    private const string Console = "console";
    private const string Prompt = "$ ";

    public static DocumentedCommands Of(string markdown)
    {
        var blocks = Block().Matches(markdown).Select(match => (Kind: match.Groups["kind"].Value, Lines: match.Groups["body"].Value.TrimEnd('\n').Split('\n'))).ToList();
        return new(
            [.. blocks.Where(block => block.Kind == Console).SelectMany(block => Read(block.Lines))],
            blocks.Where(block => FileName().IsMatch(block.Lines[0])).ToDictionary(
                block => FileName().Match(block.Lines[0]).Groups["name"].Value, block => string.Join('\n', block.Lines[1..]) + "\n", StringComparer.Ordinal),
            [.. blocks.Where(block => block.Kind is not (Console or "text")).SelectMany(block => block.Lines).Where(line => Modelops().IsMatch(line))]);
    }

    private static IEnumerable<DocumentedCommand> Read(string[] lines)
    {
        for (var at = 0; at < lines.Length;)
        {
            if (!lines[at].StartsWith(Prompt, StringComparison.Ordinal)) throw new InvalidDataException($"a console block begins with output: '{lines[at]}'");
            var command = new List<string> { lines[at++][Prompt.Length..] };
            while (command[^1].EndsWith('\\')) command.Add(lines[at++]);
            var output = new List<string>();
            while (at < lines.Length && !lines[at].StartsWith(Prompt, StringComparison.Ordinal)) output.Add(lines[at++]);
            var text = string.Join('\n', command);
            yield return new(text, ExitCode().Match(text) is { Success: true } code ? int.Parse(code.Groups["code"].Value) : 0, output);
        }
    }

    [GeneratedRegex("^```(?<kind>[a-z]*)\n(?<body>.*?)^```$", RegexOptions.ExplicitCapture | RegexOptions.Multiline | RegexOptions.Singleline, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Block();

    [GeneratedRegex(@"^# (?<name>[\w.-]+\.[a-z]+)$", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex FileName();

    [GeneratedRegex(@"^(\$ )?(\w+=\S+ )*(\./)?modelops ", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Modelops();

    [GeneratedRegex(@"# exit code (?<code>\d+)", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex ExitCode();
}

/// <param name="Text">As a shell takes it.</param>
/// <param name="Output">Lines that it must write, in which <c>…</c> stands for anything.</param>
internal sealed record DocumentedCommand(string Text, int ExitCode, IReadOnlyList<string> Output)
{
    /// <summary>What is wrong with a run of it; null: nothing.</summary>
    public string? Fault(int code, string output)
    {
        if (code != ExitCode) return $"ended with {code}, not {ExitCode}";
        var lines = output.Split('\n').Select(line => line.TrimEnd()).ToList();
        var missing = Output.Where(wanted => wanted.Trim() is not ("" or "…") && !lines.Exists(line => Matches(line, wanted.TrimEnd()))).ToList();
        return missing.Count == 0 ? null : $"did not write '{missing[0]}'";
    }

    private static bool Matches(string line, string wanted) =>
        Regex.IsMatch(line, $"^{string.Join(".*", wanted.Split('…').Select(Regex.Escape))}$", RegexOptions.None, TimeSpan.FromSeconds(1));
}
