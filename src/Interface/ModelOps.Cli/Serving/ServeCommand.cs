using System.CommandLine;
using ModelOps.Cli.Output;
using ModelOps.Client;

namespace ModelOps.Cli.Serving;

internal static class ServeCommand
{
    public const int DefaultPort = 8000;

    public static Command Create(CommandFactory cli)
    {
        var port = new Option<int>("--port")
        {
            Description = "Port on 127.0.0.1; 0 takes any free one",
            HelpName = "PORT",
            DefaultValueFactory = _ => DefaultPort,
        };
        port.Validators.Add(result =>
        {
            if (result.GetValueOrDefault<int>() is < 0 or > 65535)
            {
                result.AddError("--port must be between 0 and 65535.");
            }
        });
        return cli.Command(
            "serve", "Runs the server in the foreground until Ctrl-C.",
            ["modelops serve", "modelops serve --port 0 --home ./state"], [port],
            (invocation, cancellationToken) => RunAsync(invocation, invocation.Get(port), cancellationToken));
    }

    private static async Task<int> RunAsync(Invocation invocation, int port, CancellationToken cancellationToken)
    {
        if (invocation.Json)
        {
            throw UsageException.Of("'serve' writes the server's log and has no --json document; 'modelops doctor --json' tells whether it runs.");
        }
        if (await RunningServer.FindAsync(invocation.Home, cancellationToken) is { } running)
        {
            using (running)
            {
                throw CliProblems.Exception(
                    ProblemTypes.Conflict, "Already running",
                    $"A server of {invocation.Home.Folder} already answers at {running.Server}; stop it first, or give another --home.");
            }
        }
        await using var server = ServerProcess.StartAttached(new Installation(invocation.Host).RequireServer(), invocation.Home, port);
        return await server.WaitAsync(cancellationToken);
    }
}
