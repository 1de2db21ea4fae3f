using System.Collections.Concurrent;
using System.Net;
using System.Security.Claims;
using System.Security.Cryptography;
using System.Text.Json;
using System.Text.Json.Serialization;
using Microsoft.AspNetCore.DataProtection;
using Microsoft.AspNetCore.Http;
using ModelOps.Client;
using ModelOps.Studio.Shell;

namespace ModelOps.Studio.SignIn;

/// <summary>What a cookie holds, encrypted: the tokens of a session, or an API key.</summary>
/// <param name="RefreshToken">Null: the token is an API key, which does not end.</param>
internal sealed record StoredTokens(string Id, string User, string Token, DateTimeOffset ExpiresAt, string? RefreshToken);

[JsonSerializable(typeof(StoredTokens))]
internal sealed partial class StoredTokensJson : JsonSerializerContext;

/// <summary>
/// Who is signed in. The tokens live in the browser's cookie, encrypted, so that a restart of the server ends nothing; here are the newest of
/// them, since a page that is open for long renews them and cannot set a cookie itself.
/// </summary>
public sealed class StudioSessions(IDataProtectionProvider protection, StudioApi api, TimeProvider time)
{
    private const string Cookie = "__Host-modelops-studio";
    private static readonly TimeSpan forgotten = TimeSpan.FromDays(1);
    private readonly IDataProtector protector = protection.CreateProtector("ModelOps.Studio.Session");
    private readonly ConcurrentDictionary<string, StudioSession> sessions = new(StringComparer.Ordinal);

    /// <exception cref="ModelOpsException">The name or the password is wrong.</exception>
    public async Task<StudioSession> SignInAsync(string user, string password, IPAddress? browser, CancellationToken cancellationToken)
    {
        using var client = Connect(token: null, browser);
        var tokens = await client.Auth.SignInAsync(user, password, cancellationToken).ConfigureAwait(false);
        return Add(ToStored(NewId(), tokens));
    }

    /// <exception cref="ModelOpsException">No such key.</exception>
    public async Task<StudioSession> SignInAsync(string apiKey, IPAddress? browser, CancellationToken cancellationToken)
    {
        using var client = Connect(apiKey, browser);
        var who = await client.Auth.WhoAmIAsync(cancellationToken).ConfigureAwait(false);
        return Add(new StoredTokens(NewId(), who.Name, apiKey, DateTimeOffset.MaxValue, RefreshToken: null));
    }

    /// <returns>Null: nobody is signed in.</returns>
    public StudioSession? Find(ClaimsPrincipal user) =>
        user.FindFirstValue(StudioSession.IdClaim) is { } id && sessions.TryGetValue(id, out var session) ? session : null;

    public async Task SignOutAsync(StudioSession session, IPAddress? browser, CancellationToken cancellationToken)
    {
        sessions.TryRemove(session.Tokens.Id, out _);
        if (session.Tokens.RefreshToken is null) return;
        using var client = Connect(session.Tokens.Token, browser);
        await client.Auth.SignOutAsync(cancellationToken).ConfigureAwait(false);
    }

    public ModelOpsClient Connect(string? token, IPAddress? browser) => ConnectWith(_ => ValueTask.FromResult(token), browser);

    /// <summary>A client of one person, whose token it renews.</summary>
    public ModelOpsClient Connect(StudioSession session, IPAddress? browser) =>
        ConnectWith(async cancellationToken => await session.TokenAsync(this, time, cancellationToken).ConfigureAwait(false), browser);

    internal async Task<StudioSession?> OfAsync(HttpContext context)
    {
        if (Read(context) is not { } stored) return null;
        var session = sessions.GetOrAdd(stored.Id, _ => new StudioSession(stored));
        session.TakeNewer(stored);
        session.SeenAt = time.GetUtcNow();
        try
        {
            await session.TokenAsync(this, time, context.RequestAborted).ConfigureAwait(false);
        }
        catch (ServerUnreachableException)
        {
            // The page tells of it.
        }
        catch (ModelOpsException)
        {
            sessions.TryRemove(stored.Id, out _);
            Remove(context);
            return null;
        }
        if (session.Tokens != stored) Write(context, session);
        return session;
    }

    internal void Write(HttpContext context, StudioSession session) => context.Response.Cookies.Append(
        Cookie, protector.Protect(JsonSerializer.Serialize(session.Tokens, StoredTokensJson.Default.StoredTokens)), Options);

    internal static void Remove(HttpContext context) => context.Response.Cookies.Delete(Cookie, Options);

    internal static StoredTokens ToStored(string id, SessionTokens tokens, TimeProvider time) =>
        new(id, tokens.User, tokens.AccessToken, time.GetUtcNow().AddSeconds(tokens.ExpiresIn), tokens.RefreshToken);

    private static CookieOptions Options => new() { HttpOnly = true, Secure = true, SameSite = SameSiteMode.Lax, Path = "/", IsEssential = true };

    private StoredTokens ToStored(string id, SessionTokens tokens) => ToStored(id, tokens, time);

    private ModelOpsClient ConnectWith(Func<CancellationToken, ValueTask<string?>> token, IPAddress? browser) => ModelOpsClient.WithTokens(
        api.Server, token, options: new ClientOptions { Handler = api.HandlerFor(browser), Attempts = 3 });

    private StudioSession Add(StoredTokens tokens)
    {
        foreach (var old in sessions.Values.Where(session => session.SeenAt < time.GetUtcNow() - forgotten && !session.IsWatched)) sessions.TryRemove(old.Tokens.Id, out _);
        return sessions[tokens.Id] = new StudioSession(tokens) { SeenAt = time.GetUtcNow() };
    }

    private StoredTokens? Read(HttpContext context)
    {
        if (context.Request.Cookies[Cookie] is not { } cookie) return null;
        try
        {
            return JsonSerializer.Deserialize(protector.Unprotect(cookie), StoredTokensJson.Default.StoredTokens);
        }
        catch (Exception exception) when (exception is CryptographicException or JsonException)
        {
            return null; // of another server on this address, or of keys that were removed
        }
    }

    private static string NewId() => RandomNumberGenerator.GetHexString(32, lowercase: true);
}

/// <summary>One person in one browser.</summary>
public sealed class StudioSession
{
    internal const string IdClaim = "studio:session";
    private static readonly TimeSpan renewBefore = TimeSpan.FromMinutes(2);
    private readonly Lock gate = new();
    private Task? renewal;
    private StoredTokens tokens;

    internal StudioSession(StoredTokens tokens) => this.tokens = tokens;

    /// <summary>The cookie is older than the tokens.</summary>
    public event EventHandler? Renewed;

    public string User => tokens.User;

    public string Id => tokens.Id;

    internal StoredTokens Tokens => Volatile.Read(ref tokens);

    internal DateTimeOffset SeenAt { get; set; }

    internal bool IsWatched => Renewed is not null;

    internal ClaimsPrincipal ToUser(IPAddress? browser) => new(new ClaimsIdentity(
        [new Claim(IdClaim, Tokens.Id), new Claim(ClaimTypes.Name, User), new Claim(Person.AddressClaim, browser?.ToString() ?? "")], "studio"));

    internal void TakeNewer(StoredTokens other)
    {
        if (other.ExpiresAt > Tokens.ExpiresAt) Volatile.Write(ref tokens, other);
    }

    /// <exception cref="ModelOpsException">The session is over.</exception>
    internal async ValueTask<string> TokenAsync(StudioSessions sessions, TimeProvider time, CancellationToken cancellationToken)
    {
        Task renewing;
        lock (gate)
        {
            if (!IsOld(time)) return Tokens.Token;
            renewing = renewal ??= RenewAsync(sessions, time); // one for all: a refresh token that is spent twice ends the session
        }
        await renewing.WaitAsync(cancellationToken).ConfigureAwait(false);
        return Tokens.Token;
    }

    /// <summary>Nobody cancels it: an answer that was not waited for would leave a spent token behind.</summary>
    private async Task RenewAsync(StudioSessions sessions, TimeProvider time)
    {
        await Task.Yield();
        try
        {
            using var client = sessions.Connect(token: null, browser: null);
            Volatile.Write(ref tokens, StudioSessions.ToStored(Tokens.Id, await client.Auth.RefreshAsync(Tokens.RefreshToken!).ConfigureAwait(false), time));
        }
        finally
        {
            lock (gate) renewal = null;
        }
        Renewed?.Invoke(this, EventArgs.Empty);
    }

    /// <summary>Asked of the API before this machine takes a file in for it.</summary>
    internal async Task<bool> MayUploadAsync(StudioSessions sessions, CancellationToken cancellationToken)
    {
        using var person = sessions.Connect(this, browser: null);
        var role = (await person.Auth.WhoAmIAsync(cancellationToken).ConfigureAwait(false)).Role;
        var access = await person.Auth.AccessAsync(cancellationToken).ConfigureAwait(false);
        return access.Any(entry => entry is { Method: "POST", Path: "/api/v1/datasets/{name}/versions" } && entry.Roles.Contains(role, StringComparer.Ordinal));
    }

    private bool IsOld(TimeProvider time) => Tokens.RefreshToken is not null && Tokens.ExpiresAt - time.GetUtcNow() < renewBefore;
}
