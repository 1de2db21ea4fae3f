using ModelOps.Cli.Output;
using ModelOps.Client;

namespace ModelOps.Cli.Workers;

/// <summary>The server that this machine's workers work for.</summary>
/// <param name="Token">API key with the role service.</param>
/// <param name="Authority">PEM file of the only authority to trust; null: the system's.</param>
internal sealed record RemoteServer(Uri Address, string Token, string? Authority)
{
    private const string AddressVariable = "MODELOPS_SERVER";
    private const string TokenVariable = "MODELOPS_TOKEN";
    private const string AuthorityVariable = "MODELOPS_CA";

    /// <summary>What a worker process finds in its environment: a command line is for every user of the machine to read.</summary>
    public IReadOnlyDictionary<string, string> Environment => new Dictionary<string, string>(StringComparer.Ordinal)
    {
        [AddressVariable] = Address.AbsoluteUri,
        [TokenVariable] = Token,
        [AuthorityVariable] = Authority ?? "",
    };

    /// <summary>From the options, and the environment where there is none.</summary>
    /// <exception cref="ModelOpsException">With every fault.</exception>
    public static RemoteServer Of(Invocation invocation, string? token, string? authority)
    {
        var variable = invocation.Host.Variable;
        var faults = new List<string>();
        var address = invocation.ServerOption ?? (Uri.TryCreate(variable(AddressVariable), UriKind.Absolute, out var named) ? named : null);
        if (address?.Scheme != Uri.UriSchemeHttps)
        {
            faults.Add($"--server or {AddressVariable} must be the server's https address, such as https://models.example.org:8000.");
        }
        if ((token ?? variable(TokenVariable) ?? invocation.ApiKey) is not { } key)
        {
            key = "";
            faults.Add($"--token or {TokenVariable} must be an API key with the role service; 'modelops keys create' makes one.");
        }
        authority ??= variable(AuthorityVariable);
        if (authority is not null && !File.Exists(authority))
        {
            faults.Add($"--ca or {AuthorityVariable}: there is no file {Path.GetFullPath(authority)}.");
        }
        return faults.Count == 0
            ? new RemoteServer(address!, key, authority is null ? null : Path.GetFullPath(authority))
            : throw UsageException.Of("The worker lacks what it needs to reach its server.", faults);
    }

    public ModelOpsClient Connect() => new(Address, Token, Authority, new ClientOptions { Attempts = 1 });
}
