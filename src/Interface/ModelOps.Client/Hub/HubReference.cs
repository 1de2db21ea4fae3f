using System.Text.RegularExpressions;

namespace ModelOps.Client;

/// <summary>A model on the Hugging Face hub, or on a server that speaks its API.</summary>
/// <param name="Repository"><c>org/name</c>.</param>
/// <param name="Revision">A branch, tag or commit.</param>
public sealed partial record HubReference(string Repository, string Revision)
{
    public const string DefaultRevision = "main";

    /// <param name="text"><c>hf:org/name</c> or <c>hf:org/name@revision</c>.</param>
    /// <exception cref="ModelOpsException">It is something else.</exception>
    public static HubReference Parse(string text)
    {
        var match = Form().Match(text);
        if (!match.Success)
            throw HubProblems.Of(ProblemTypes.Invalid, "Not a model of the hub", $"'{text}' is not of the form hf:org/name or hf:org/name@revision.");
        return new(match.Groups["repository"].Value, match.Groups["revision"] is { Success: true } revision ? revision.Value : DefaultRevision);
    }

    public override string ToString() => $"hf:{Repository}@{Revision}";

    [GeneratedRegex(@"^hf:(?<repository>[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*)(@(?<revision>[A-Za-z0-9][A-Za-z0-9._/-]*))?$", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Form();
}
