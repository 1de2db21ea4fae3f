using System.CommandLine;
using ModelOps.Cli.Output;
using ModelOps.Client;

namespace ModelOps.Cli.Serving;

internal static class ServeCommand
{
    /// <summary>The server's own default.</summary>
    public const int DefaultPort = 8000;

    public static Command Create(CommandFactory cli)
    {
        var port = new Option<int?>("--port")
        {
            Description = "Port to listen on; 0 takes any free one [default: listen:port of the configuration]",
            HelpName = "PORT",
        };
        var settings = new Option<string[]>("--set")
        {
            Description = "A configuration key for this run, such as listen:address=0.0.0.0; repeatable",
            HelpName = "KEY=VALUE",
        };
        settings.Validators.Add(result =>
        {
            foreach (var token in result.Tokens.Where(token => token.Value.IndexOf('=', StringComparison.Ordinal) <= 0))
                result.AddError($"--set '{token.Value}' is not of the form SECTION:KEY=VALUE.");
        });
        port.Validators.Add(result =>
        {
            if (result.GetValueOrDefault<int?>() is < 0 or > 65535)
            {
                result.AddError("--port must be between 0 and 65535.");
            }
        });
        return cli.Command(
            "serve", "Runs the server in the foreground until Ctrl-C.",
            ["modelops serve", "modelops serve --port 0 --home ./state", "modelops serve --set listen:address=0.0.0.0"], [port, settings],
            (invocation, cancellationToken) => RunAsync(invocation, invocation.Get(port), invocation.Get(settings) ?? [], cancellationToken));
    }

    private static async Task<int> RunAsync(Invocation invocation, int? port, string[] settings, CancellationToken cancellationToken)
    {
        if (invocation.Json)
        {
            throw UsageException.Of("'serve' writes the server's log and has no --json document; 'modelops doctor --json' tells whether it runs.");
        }
        if (await RunningServer.FindAsync(invocation, cancellationToken) is { } running)
        {
            using (running)
            {
                throw CliProblems.Exception(
                    ProblemTypes.Conflict, "Already running",
                    $"A server of {invocation.Home.Folder} already answers at {running.Server}; stop it first, or give another --home.");
            }
        }
        await using var server = ServerProcess.StartAttached(new Installation(invocation.Host).RequireServer(), invocation.Home, port, settings);
        return await server.WaitAsync(cancellationToken);
    }
}
