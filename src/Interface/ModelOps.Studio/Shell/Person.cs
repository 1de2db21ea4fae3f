using System.Net;
using System.Security.Claims;
using Microsoft.AspNetCore.Components.Authorization;
using ModelOps.Client;
using ModelOps.Studio.SignIn;

namespace ModelOps.Studio.Shell;

/// <summary>Who looks at the page, what they may do, and their own client of the API.</summary>
public sealed class Person(StudioSessions sessions, AuthenticationStateProvider authentication) : IDisposable
{
    internal const string AddressClaim = "studio:address";
    private HashSet<string> allowed = [];
    private ModelOpsClient? client;

    public ModelOpsClient Client => client ?? throw new InvalidOperationException("StartAsync comes first");

    public WhoAmI Who { get; private set; } = new() { Name = "", Scopes = [], Via = "" };

    public StudioSession? Session { get; private set; }

    public bool Dark { get; set; }

    /// <exception cref="ModelOpsException">Nobody is signed in, or the server does not answer.</exception>
    public async Task StartAsync()
    {
        var user = (await authentication.GetAuthenticationStateAsync().ConfigureAwait(false)).User;
        Session = sessions.Find(user) ?? throw new ModelOpsException(new Problem { Type = ProblemTypes.Unauthorized, Title = "Not signed in", Detail = "Nobody is signed in here any more." });
        client = sessions.Connect(Session, IPAddress.TryParse(user.FindFirstValue(AddressClaim), out var address) ? address : null);
        Who = await client.Auth.WhoAmIAsync().ConfigureAwait(false);
        var access = await client.Auth.AccessAsync().ConfigureAwait(false);
        var all = Who.Scopes.Contains("*", StringComparer.Ordinal);
        allowed = access
            .Where(entry => Who.Role is { } role && entry.Roles.Contains(role, StringComparer.Ordinal))
            .Where(entry => all || entry.Scope is null || Who.Scopes.Contains(entry.Scope, StringComparer.Ordinal))
            .Select(entry => $"{entry.Method} {entry.Path.TrimEnd('/')}").ToHashSet(StringComparer.Ordinal);
    }

    /// <summary>Whether the API would let them; what it would not is not offered.</summary>
    /// <param name="endpoint">As the API lists it: <c>POST /api/v1/trainings</c>.</param>
    public bool May(string endpoint) => allowed.Contains(endpoint);

    public void Dispose() => client?.Dispose();
}
