using System.CommandLine;
using ModelOps.Cli.Output;

namespace ModelOps.Cli;

/// <summary>The whole way of one command line: parse, run, exit code.</summary>
public static class App
{
    public static async Task<int> RunAsync(IReadOnlyList<string> args, CliHost host, CancellationToken cancellationToken)
    {
        var globals = new GlobalOptions();
        var parse = CommandTree.Create(host, globals).Parse(args);
        var failures = new FailureWriter(host.Error, asJson: parse.GetValue(globals.Json));
        if (parse.Errors.Count > 0 && parse.Action is not Help.ExamplesHelpAction)
        {
            return failures.Write(UsageException.Of(parse));
        }
        try
        {
            return await parse.InvokeAsync(
                new InvocationConfiguration
                {
                    Output = host.Out,
                    Error = host.Error,
                    EnableDefaultExceptionHandler = false,
                    ProcessTerminationTimeout = null, // signals arrive as the token, see Program
                },
                cancellationToken);
        }
        catch (Exception exception)
        {
            return failures.Write(exception);
        }
    }
}
