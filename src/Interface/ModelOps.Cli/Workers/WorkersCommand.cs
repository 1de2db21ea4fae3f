using System.CommandLine;
using ModelOps.Cli.Output;
using ModelOps.Client;
using Spectre.Console;

namespace ModelOps.Cli.Workers;

internal static class WorkersCommand
{
    public static Command Create(CommandFactory cli) => CommandFactory.Group(
        "workers", "The processes in which jobs and models run.", [List(cli)]);

    private static Command List(CommandFactory cli) => cli.Command(
        "list", "Lists the server's worker processes.", ["modelops workers list"], [],
        async (invocation, cancellationToken) =>
        {
            var workers = await invocation.Client.Workers.ListAsync(cancellationToken);
            invocation.Write(new Page<Worker>(workers), JsonOutput.Wire.PageWorker, screen =>
            {
                if (workers.Count == 0)
                {
                    screen.WriteLine("No worker runs: the server starts one when a job or a deployment needs it.");
                    return;
                }
                Show(invocation, workers);
            });
            return ExitCodes.Done;
        });

    private static void Show(Invocation invocation, IReadOnlyList<Worker> workers)
    {
        var table = invocation.Table("pid", "role", "state", "memory", "cpu", "tasks", "threads", "restarts", "since", "last death");
        foreach (var worker in workers)
        {
            table.AddTextRow(
                worker.ProcessId is { } id ? $"{id}" : "-", worker.Role, $"{worker.State}".ToLowerInvariant(), Human.Bytes(worker.Memory),
                $"{worker.CpuPercent:0} %", $"{worker.Tasks}", $"{worker.Threads}", $"{worker.Restarts}", Human.Time(worker.Since), worker.Error ?? "");
        }
        invocation.Screen.Write(table);
    }
}
