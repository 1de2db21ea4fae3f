using System.CommandLine;
using ModelOps.Cli.Output;
using ModelOps.Cli.Serving;
using ModelOps.Client;

namespace ModelOps.Cli.Workers;

/// <summary>Workers on this machine for a server on another.</summary>
internal static class WorkerCommand
{
    private static readonly string[] Roles = ["data", "training", "quantization", "evaluation"];
    private static readonly TimeSpan LookAfter = TimeSpan.FromSeconds(5);

    public static Command Create(CommandFactory cli)
    {
        var roles = new Option<string[]>("--role")
        {
            Description = "What to work on; repeated for several, and for several processes of one",
            HelpName = "ROLE",
            Required = true,
        }.AcceptOnlyFromAmong(Roles);
        var token = new Option<string?>("--token")
        {
            Description = "API key with the role service [default: MODELOPS_TOKEN, which other users of this machine cannot read]",
            HelpName = "KEY",
        };
        var ca = new Option<string?>("--ca")
        {
            Description = "PEM file of the only authority to trust for the server [default: MODELOPS_CA, or the system's]",
            HelpName = "FILE",
        };
        var threads = new Option<int?>("--threads")
        {
            Description = "Threads for arithmetic of each process [default: the machine's cores but one, shared by the processes]",
            HelpName = "N",
        };
        threads.Validators.Add(result =>
        {
            if (result.GetValueOrDefault<int?>() is < 1)
            {
                result.AddError("--threads must be at least 1.");
            }
        });
        return cli.Command(
            "worker", "Works on the jobs of a server on another machine, in the foreground until Ctrl-C.",
            [
                "modelops worker --role training --server https://models.example.org:8000 --ca ca.crt --home /var/lib/modelops-worker",
                "modelops worker --role data --role quantization --server https://models.example.org:8000 --token mo_KEY --threads 16",
            ],
            [roles, token, ca, threads],
            (invocation, cancellationToken) => RunAsync(
                invocation, invocation.Get(roles)!, invocation.Get(token), invocation.Get(ca), invocation.Get(threads), cancellationToken));
    }

    private static async Task<int> RunAsync(
        Invocation invocation, string[] roles, string? token, string? ca, int? threads, CancellationToken cancellationToken)
    {
        if (invocation.Json)
        {
            throw UsageException.Of("'worker' writes the workers' log and has no --json document.");
        }
        var server = RemoteServer.Of(invocation, token, ca);
        var program = new Installation(invocation.Host).RequireWorker();
        using var home = WorkerHome.Open(invocation.Home);
        var environment = server.Environment.Concat(home.ObjectStore(invocation.Host.Variable)).ToDictionary(StringComparer.Ordinal);
        using var client = server.Connect();
        await LookAsync(client, home, cancellationToken); // a wrong address or key ends it here
        var log = new WorkerLog(invocation.Host);
        log.Write("info", "worker", $"works for {server.Address} as {string.Join(", ", roles)}, home {home.Folder}");
        if (!environment.ContainsKey(WorkerHome.ObjectStoreKind))
        {
            log.Write("warning", "worker", $"objects are files in {home.Folder}: jobs find theirs only if it is the server's own folder; "
                + "else give the server's object store (MODELOPS__OBJECTS__… or 'objects' in modelops.json of the home folder)");
        }
        var share = threads ?? Math.Max(1, (Environment.ProcessorCount - 1) / roles.Length);
        var processes = roles.GroupBy(role => role, StringComparer.Ordinal).SelectMany(group => group.Select((role, index) =>
            new WorkerProcess(program, role, index + 1, home.Folder, share, environment, log, invocation.Host.Time)));
        await WorkAsync(client, home, processes, log, invocation.Host.Time, cancellationToken);
        return ExitCodes.Done;
    }

    /// <summary>Until it is canceled, or one of them fails; then the others end too.</summary>
    private static async Task WorkAsync(
        ModelOpsClient client, WorkerHome home, IEnumerable<WorkerProcess> processes, WorkerLog log, TimeProvider time, CancellationToken cancellationToken)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        List<Task> parts = [WatchAsync(client, home, log, time, stop.Token), .. processes.Select(process => process.KeepAsync(stop.Token))];
        await Task.WhenAny(parts);
        await stop.CancelAsync();
        await Task.WhenAll(parts);
    }

    /// <summary>Says when the server goes away and when it is back, and brings the keys that it trusts here, until it is canceled.</summary>
    /// <exception cref="ModelOpsException">The server does not let this key work for it any more.</exception>
    private static async Task WatchAsync(ModelOpsClient client, WorkerHome home, WorkerLog log, TimeProvider time, CancellationToken cancellationToken)
    {
        var isAway = false;
        while (await WaitAsync(time, cancellationToken))
        {
            try
            {
                await LookAsync(client, home, cancellationToken);
                if (isAway)
                {
                    log.Write("info", "worker", $"{client.Server} answers again");
                }
                isAway = false;
            }
            catch (ModelOpsException exception) when (ExitCodes.Of(exception.Problem) is not ExitCodes.NotAllowed)
            {
                if (!isAway)
                {
                    log.Write("warning", "worker", $"{exception.Message} Trying again until it does.");
                }
                isAway = true;
            }
            catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
            {
                return;
            }
        }
    }

    private static async Task<bool> WaitAsync(TimeProvider time, CancellationToken cancellationToken)
    {
        await Task.Delay(LookAfter, time, cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        return !cancellationToken.IsCancellationRequested;
    }

    private static async Task LookAsync(ModelOpsClient client, WorkerHome home, CancellationToken cancellationToken)
    {
        await client.Workers.CheckAccessAsync(cancellationToken);
        await home.TrustAsync(await client.SigningKeys.ListAsync(cancellationToken), cancellationToken);
    }
}
