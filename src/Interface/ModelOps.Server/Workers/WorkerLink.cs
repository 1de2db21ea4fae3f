using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using ModelOps.Registry;
using ModelOps.Server.Configuration;
using ModelOps.Server.Hosting;

namespace ModelOps.Server.Workers;

/// <summary>How the workers of this server reach it: its address, its authority, and a token of their own that ends with the server.</summary>
public sealed class WorkerLink(ServerHome home, IServer server, ServerConfig config)
{
    private const string Prefix = "mow_";
    private readonly string token = Prefix + RandomNumberGenerator.GetHexString(64, lowercase: true);

    public static bool IsToken(string secret) => secret.StartsWith(Prefix, StringComparison.Ordinal);

    /// <returns>Null: not the token of this server's workers.</returns>
    public ApiPrincipal? Authenticate(string secret) =>
        CryptographicOperations.FixedTimeEquals(Encoding.UTF8.GetBytes(secret), Encoding.UTF8.GetBytes(token))
            ? new ApiPrincipal("workers", "workers", Roles.Service)
            : null;

    /// <summary>What a worker is handed over; in the environment, for a command line is for every user of the machine to read.</summary>
    /// <exception cref="WorkerStartException">The server does not listen yet.</exception>
    public IReadOnlyDictionary<string, string> ToEnvironment() => new Dictionary<string, string>(StringComparer.Ordinal)
    {
        ["MODELOPS_SERVER"] = server.Features.Get<IServerAddressesFeature>()?.Addresses.FirstOrDefault() is { } bound
            ? Listener.LocalAddress(bound)
            : throw new WorkerStartException("the server does not listen yet"),
        ["MODELOPS_TOKEN"] = token,
        ["MODELOPS_CA"] = home.Authority,
        ["MODELOPS_PLUGINS"] = config.Plugins.ToText(),
    };
}
