using System.Globalization;
using System.Reflection;
using System.Text.RegularExpressions;
using ModelOps.Cli;
using ModelOps.Client;
using ModelOps.Tests.EndToEnd;
using ModelOps.Tests.Repository;

namespace ModelOps.Tests.Gateway;

/// <summary>docs/problems.md is the list of problem types, with the status and exit code that they really have.</summary>
[EmbeddedOnly("it compares a page with the code")]
public sealed partial class ProblemTests
{
    [Fact]
    public void ProblemTypes_AndTheirDocument_AreTheSame()
    {
        var types = typeof(ProblemTypes).GetFields(BindingFlags.Public | BindingFlags.Static).Select(field => (string)field.GetRawConstantValue()!);
        Assert.Equal(types.Order(StringComparer.Ordinal), Rows().Select(row => row.Type).Order(StringComparer.Ordinal));
    }

    [Fact]
    public void Document_StatusAndExitCode_AreThoseOfTheCode() => Assert.All(Rows(), row =>
    {
        Assert.Equal(row.ExitCode, ExitCodes.Of(new Problem { Type = row.Type }));
        if (row.Status is not (400 or 422) && row.Type is not (ProblemTypes.GatesNotMet or ProblemTypes.QuotaExceeded)) Assert.Equal(row.Type, Server.Problems.TypeOf(row.Status));
    });

    private static List<(string Type, int Status, int ExitCode)> Rows() =>
    [
        .. File.ReadLines(Path.Combine(RepositoryRoot.Path, "docs/problems.md")).Select(line => Row().Match(line)).Where(match => match.Success)
            .Select(match => (match.Groups["type"].Value, Number(match, "status"), Number(match, "code"))),
    ];

    private static int Number(Match match, string group) => int.Parse(match.Groups[group].Value, CultureInfo.InvariantCulture);

    [GeneratedRegex(@"^\| `(?<type>urn:[a-z:-]+)` \| (?<status>\d+) \| .* \| (?<code>\d) \|$", RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex Row();
}
