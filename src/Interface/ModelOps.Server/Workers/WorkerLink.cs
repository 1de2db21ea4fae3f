using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using ModelOps.Registry;
using ModelOps.Server.Configuration;
using ModelOps.Server.Hosting;
using ModelOps.Server.Telemetry;

namespace ModelOps.Server.Workers;

/// <summary>How the workers of this server reach it: its address, its authority, and a token of their own that ends with the server.</summary>
public sealed class WorkerLink
{
    private const string Prefix = "mow_";
    private readonly string token = Prefix + RandomNumberGenerator.GetHexString(64, lowercase: true);
    private readonly TaskCompletionSource listening = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly ServerHome home;
    private readonly IServer server;
    private readonly string plugins;
    private readonly IReadOnlyDictionary<string, string> telemetry;

    public WorkerLink(ServerHome home, IServer server, ServerConfig config, IHostApplicationLifetime lifetime)
    {
        (this.home, this.server, plugins, telemetry) = (home, server, config.Plugins.ToText(), config.Telemetry.WorkerEnvironment());
        lifetime.ApplicationStarted.Register(listening.SetResult);
    }

    public static bool IsToken(string secret) => secret.StartsWith(Prefix, StringComparison.Ordinal);

    /// <returns>Null: not the token of this server's workers.</returns>
    public ApiPrincipal? Authenticate(string secret) =>
        CryptographicOperations.FixedTimeEquals(Encoding.UTF8.GetBytes(secret), Encoding.UTF8.GetBytes(token))
            ? new ApiPrincipal("workers", "workers", Roles.Service)
            : null;

    /// <summary>
    /// What a worker is handed over, as soon as the server listens; in the environment, for a command line is for every user of the machine to read.
    /// </summary>
    public async Task<IReadOnlyDictionary<string, string>> ToEnvironmentAsync(CancellationToken cancellationToken)
    {
        await listening.Task.WaitAsync(cancellationToken);
        return new Dictionary<string, string>(telemetry, StringComparer.Ordinal)
        {
            ["MODELOPS_SERVER"] = Listener.LocalAddress(server.Features.Get<IServerAddressesFeature>()!.Addresses.First()),
            ["MODELOPS_TOKEN"] = token,
            ["MODELOPS_CA"] = home.Authority,
            ["MODELOPS_PLUGINS"] = plugins,
        };
    }
}
