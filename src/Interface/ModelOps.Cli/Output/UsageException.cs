using System.CommandLine;
using ModelOps.Client;

namespace ModelOps.Cli.Output;

/// <summary>The command line itself is wrong.</summary>
internal static class UsageException
{
    public static ModelOpsException Of(ParseResult parse)
    {
        var command = parse.CommandResult;
        var names = new List<string>();
        for (var result = command; result is not null; result = result.Parent as System.CommandLine.Parsing.CommandResult)
        {
            names.Insert(0, result.Command is RootCommand ? "modelops" : result.Command.Name);
        }
        return Of($"The command line is not valid; see '{string.Join(' ', names)} --help'.", [.. parse.Errors.Select(error => error.Message)]);
    }

    public static ModelOpsException Of(string detail, IReadOnlyList<string>? errors = null) =>
        CliProblems.Exception(ProblemTypes.Invalid, "Usage", detail, errors);
}
