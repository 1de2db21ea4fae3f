using System.Collections.Concurrent;
using System.Text.Json;
using Microsoft.EntityFrameworkCore;

namespace ModelOps.Registry;

/// <summary>
/// Who is signed in. A refresh token works once; a second use of one shows that somebody copied it, and ends the session.
/// </summary>
public sealed class Sessions(IDbContextFactory<MetadataContext> contexts, AuditLog audit, TimeProvider time)
{
    private const string prefix = "mor_";
    private readonly ConcurrentDictionary<string, DateTimeOffset> ended = new(StringComparer.Ordinal);

    /// <summary>A session whose refresh token is not used for this long is over.</summary>
    public static TimeSpan Idle { get; } = TimeSpan.FromDays(30);

    /// <summary>How long after its end a session's access tokens could still be shown: more than they live.</summary>
    public static TimeSpan Remembered { get; } = TimeSpan.FromHours(1);

    /// <summary>Whether the session was ended; from memory, for every request.</summary>
    public bool HasEnded(string sessionId) => ended.ContainsKey(sessionId);

    /// <summary>
    /// Reads which sessions ended lately, also at other servers on the same database, and forgets those whose tokens have expired.
    /// </summary>
    public async Task SynchronizeAsync(CancellationToken cancellationToken = default)
    {
        var since = time.GetUtcNow() - Remembered;
        using var context = await contexts.CreateDbContextAsync(cancellationToken).ConfigureAwait(false);
        var recent = await context.Sessions.AsNoTracking().Where(row => row.RevokedAt >= since).Select(row => row.Id)
            .ToListAsync(cancellationToken).ConfigureAwait(false);
        Remember(recent);
        foreach (var (id, at) in ended)
        {
            if (at < since)
                ended.TryRemove(id, out _);
        }
    }

    /// <summary>Deletes sessions that can no longer be used, and their tokens.</summary>
    public async Task PruneAsync(CancellationToken cancellationToken = default)
    {
        var (revoked, idle) = (time.GetUtcNow() - Remembered, time.GetUtcNow() - Idle);
        using var context = await contexts.CreateDbContextAsync(cancellationToken).ConfigureAwait(false);
        await context.Sessions.Where(row => row.RevokedAt < revoked || row.RefreshedAt < idle).ExecuteDeleteAsync(cancellationToken)
            .ConfigureAwait(false);
    }

    /// <summary>The password was right: a session begins.</summary>
    /// <returns>Null when the user was disabled or removed, or got another password, since <paramref name="user"/> was read.</returns>
    public async Task<SessionToken?> StartAsync(UserRow user, string address, CancellationToken cancellationToken = default)
    {
        var now = time.GetUtcNow();
        var session = new SessionRow { Id = Secret.NewId("session_"), UserId = user.Id, CreatedAt = now, RefreshedAt = now };
        var secret = Secret.Create(prefix);
        using var context = await contexts.CreateDbContextAsync(cancellationToken).ConfigureAwait(false);
        var transaction = await context.Database.BeginTransactionAsync(cancellationToken).ConfigureAwait(false);
        await using (transaction.ConfigureAwait(false))
        {
            await context.LockAsync(Users.Lock, cancellationToken).ConfigureAwait(false);
            var unchanged = await context.Users.AnyAsync(
                row => row.Id == user.Id && row.DisabledAt == null && row.PasswordHash == user.PasswordHash, cancellationToken).ConfigureAwait(false);
            if (!unchanged)
                return null;
            context.Sessions.Add(session);
            context.RefreshTokens.Add(new RefreshTokenRow { Hash = Secret.Hash(secret), SessionId = session.Id, CreatedAt = now });
            var detail = JsonSerializer.SerializeToElement(new SessionDetail(session.Id, address), AuditJson.Default.SessionDetail);
            await audit.AddAsync(context, user.Name, "user.signed_in", user.Name, detail, cancellationToken).ConfigureAwait(false);
            await context.SaveChangesAsync(cancellationToken).ConfigureAwait(false);
            await transaction.CommitAsync(cancellationToken).ConfigureAwait(false);
        }
        return new SessionToken(user, session.Id, secret);
    }

    /// <summary>Spends the token for the next one of its session.</summary>
    public async Task<SessionRefresh> RefreshAsync(string refreshToken, string address, CancellationToken cancellationToken = default)
    {
        var (hash, now) = (Secret.Hash(refreshToken), time.GetUtcNow());
        using var context = await contexts.CreateDbContextAsync(cancellationToken).ConfigureAwait(false);
        var transaction = await context.Database.BeginTransactionAsync(cancellationToken).ConfigureAwait(false);
        await using (transaction.ConfigureAwait(false))
        {
            await context.LockAsync(Users.Lock, cancellationToken).ConfigureAwait(false);
            var token = await context.RefreshTokens.SingleOrDefaultAsync(row => row.Hash == hash, cancellationToken).ConfigureAwait(false);
            if (token is null || !Secret.Equal(token.Hash, hash))
                return new SessionRefresh.Refused("The refresh token is unknown. Sign in again.");
            var session = await context.Sessions.SingleAsync(row => row.Id == token.SessionId, cancellationToken).ConfigureAwait(false);
            var user = await context.Users.SingleOrDefaultAsync(row => row.Id == session.UserId, cancellationToken).ConfigureAwait(false);
            if (session.RevokedAt is not null || user is null || user.DisabledAt is not null)
                return new SessionRefresh.Refused("The session has ended. Sign in again.");
            if (now - session.RefreshedAt > Idle)
                return new SessionRefresh.Refused($"The session was not used for {Idle.TotalDays} days. Sign in again.");
            if (token.SpentAt is not null)
            {
                session.RevokedAt = now;
                var detail = JsonSerializer.SerializeToElement(new SessionDetail(session.Id, address), AuditJson.Default.SessionDetail);
                await audit.AddAsync(context, user.Name, "session.token_reused", user.Name, detail, cancellationToken).ConfigureAwait(false);
                await context.SaveChangesAsync(cancellationToken).ConfigureAwait(false);
                await transaction.CommitAsync(cancellationToken).ConfigureAwait(false);
                Remember([session.Id]);
                return new SessionRefresh.Refused("The refresh token was used before: somebody may have copied it. The session is ended. Sign in again.");
            }
            var secret = Secret.Create(prefix);
            token.SpentAt = now;
            session.RefreshedAt = now;
            context.RefreshTokens.Add(new RefreshTokenRow { Hash = Secret.Hash(secret), SessionId = session.Id, CreatedAt = now });
            await context.SaveChangesAsync(cancellationToken).ConfigureAwait(false);
            await transaction.CommitAsync(cancellationToken).ConfigureAwait(false);
            return new SessionRefresh.Refreshed(new SessionToken(user, session.Id, secret));
        }
    }

    /// <summary>Ends a session: its access tokens are refused at once, its refresh token does not work again.</summary>
    /// <returns>False when there is no such session or it has ended before.</returns>
    public async Task<bool> EndAsync(string sessionId, string by, CancellationToken cancellationToken = default)
    {
        var now = time.GetUtcNow();
        using var context = await contexts.CreateDbContextAsync(cancellationToken).ConfigureAwait(false);
        var transaction = await context.Database.BeginTransactionAsync(cancellationToken).ConfigureAwait(false);
        await using (transaction.ConfigureAwait(false))
        {
            var revoked = await context.Sessions.Where(row => row.Id == sessionId && row.RevokedAt == null)
                .ExecuteUpdateAsync(update => update.SetProperty(row => row.RevokedAt, now), cancellationToken).ConfigureAwait(false);
            if (revoked == 0)
                return false;
            var detail = JsonSerializer.SerializeToElement(new SessionDetail(sessionId, null), AuditJson.Default.SessionDetail);
            await audit.AddAsync(context, by, "user.signed_out", by, detail, cancellationToken).ConfigureAwait(false);
            await context.SaveChangesAsync(cancellationToken).ConfigureAwait(false);
            await transaction.CommitAsync(cancellationToken).ConfigureAwait(false);
        }
        Remember([sessionId]);
        return true;
    }

    /// <summary>Within the caller's transaction; <see cref="Remember"/> what it returns once that is committed.</summary>
    internal static async Task<IReadOnlyList<string>> EndAllAsync(
        MetadataContext context, string userId, DateTimeOffset now, CancellationToken cancellationToken)
    {
        var open = context.Sessions.Where(row => row.UserId == userId && row.RevokedAt == null);
        var ids = await open.Select(row => row.Id).ToListAsync(cancellationToken).ConfigureAwait(false);
        await open.ExecuteUpdateAsync(update => update.SetProperty(row => row.RevokedAt, now), cancellationToken).ConfigureAwait(false);
        return ids;
    }

    internal void Remember(IEnumerable<string> sessionIds)
    {
        foreach (var id in sessionIds)
            ended.TryAdd(id, time.GetUtcNow());
    }
}

/// <param name="RefreshToken">Known only now: <c>mor_</c> and 43 base64url characters.</param>
public sealed record SessionToken(UserRow User, string SessionId, string RefreshToken);

public abstract record SessionRefresh
{
    private SessionRefresh()
    {
    }

    public sealed record Refreshed(SessionToken Token) : SessionRefresh;

    public sealed record Refused(string Reason) : SessionRefresh;
}

internal sealed record SessionDetail(string Session, string? Address);
