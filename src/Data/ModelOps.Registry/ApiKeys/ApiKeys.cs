using System.Collections.Concurrent;
using System.Data.Common;
using System.Text.Json;
using Microsoft.EntityFrameworkCore;

namespace ModelOps.Registry;

/// <summary>API keys: shown once, kept as a hash. A key of a disabled user is refused.</summary>
public sealed class ApiKeys(IDbContextFactory<MetadataContext> contexts, AuditLog audit, TimeProvider time)
{
    public const string Prefix = "mo_";
    public const string AllScopes = "*";
    private static readonly TimeSpan lastUsedEvery = TimeSpan.FromMinutes(1);
    private readonly ConcurrentDictionary<string, bool> noting = new(StringComparer.Ordinal);

    // Compiled: every request asks it. Of the instance: it is bound to the database of its first context.
    private readonly Func<MetadataContext, string, CancellationToken, Task<ApiKeyRow?>> byHash = EF.CompileAsyncQuery(
        (MetadataContext context, string hash, CancellationToken _) =>
            context.ApiKeys.AsNoTracking().Include(key => key.User).SingleOrDefault(key => key.Hash == hash));

    /// <param name="create">What the key may do, at most.</param>
    /// <param name="by">Who makes it.</param>
    public async Task<KeyCreation> CreateAsync(NewApiKey create, string by, CancellationToken cancellationToken = default)
    {
        var now = time.GetUtcNow();
        if (Check(create, now) is { Count: > 0 } errors)
            return new KeyCreation.Invalid(errors);
        var secret = Secret.Create(Prefix);
        using var context = await contexts.CreateDbContextAsync(cancellationToken).ConfigureAwait(false);
        var transaction = await context.Database.BeginTransactionAsync(cancellationToken).ConfigureAwait(false);
        await using (transaction.ConfigureAwait(false))
        {
            if (await context.Users.AsNoTracking().SingleOrDefaultAsync(user => user.Name == create.User, cancellationToken).ConfigureAwait(false)
                is not { } owner)
                return new KeyCreation.NoSuchUser(create.User);
            var role = create.Role ?? owner.Role;
            if (owner.Role != Roles.Admin && role != owner.Role && role != Roles.Viewer)
                return new KeyCreation.Invalid([$"{owner.Name} has the role {owner.Role}; a key of it has that role or {Roles.Viewer}, not {role}."]);
            var row = new ApiKeyRow
            {
                Id = Secret.NewId("key_"),
                Name = create.Name,
                UserId = owner.Id,
                Hash = Secret.Hash(secret),
                Role = role,
                Scopes = string.Join(' ', create.Scopes.Distinct().Order(StringComparer.Ordinal)),
                CreatedAt = now,
                ExpiresAt = create.ExpiresAt,
            };
            context.ApiKeys.Add(row);
            var detail = JsonSerializer.SerializeToElement(new KeyDetail(row.Name, owner.Name, row.Role, row.Scopes), AuditJson.Default.KeyDetail);
            await audit.AddAsync(context, by, "key.created", row.Id, detail, cancellationToken).ConfigureAwait(false);
            await context.SaveChangesAsync(cancellationToken).ConfigureAwait(false);
            await transaction.CommitAsync(cancellationToken).ConfigureAwait(false);
            row.User = owner;
            return new KeyCreation.Created(row, secret);
        }
    }

    /// <summary>One query; the time of the last use is written at most once a minute, beside the request.</summary>
    /// <returns>Null for a secret that is unknown, expired, revoked, or of a disabled user.</returns>
    public async Task<ApiPrincipal?> AuthenticateAsync(string secret, CancellationToken cancellationToken = default)
    {
        var (hash, now) = (Secret.Hash(secret), time.GetUtcNow());
        using var context = await contexts.CreateDbContextAsync(cancellationToken).ConfigureAwait(false);
        var row = await byHash(context, hash, cancellationToken).ConfigureAwait(false);
        if (row is null || !Secret.Equal(hash, row.Hash))
            return null;
        if (row.RevokedAt is not null || row.ExpiresAt <= now || row.User!.DisabledAt is not null)
            return null;
        if ((row.LastUsedAt is null || now - row.LastUsedAt >= lastUsedEvery) && noting.TryAdd(row.Id, true))
            _ = Task.Run(() => NoteUseAsync(row.Id, now), CancellationToken.None);
        return new ApiPrincipal(row.UserId, row.User.Name, row.Role)
        {
            KeyId = row.Id,
            OwnerRole = row.User.Role,
            Scopes = row.Scopes,
        };
    }

    /// <summary>Newest first; revoked ones too.</summary>
    /// <param name="user">Null: of all users.</param>
    public async Task<IReadOnlyList<ApiKeyRow>> ListAsync(string? user, CancellationToken cancellationToken = default)
    {
        using var context = await contexts.CreateDbContextAsync(cancellationToken).ConfigureAwait(false);
        return await context.ApiKeys.AsNoTracking().Include(key => key.User).Where(key => user == null || key.User!.Name == user)
            .OrderByDescending(key => key.CreatedAt).ThenBy(key => key.Id).ToListAsync(cancellationToken).ConfigureAwait(false);
    }

    /// <param name="user">Null: of whatever user.</param>
    /// <returns>False when there is no such key or it was revoked before.</returns>
    public async Task<bool> RevokeAsync(string id, string? user, string by, CancellationToken cancellationToken = default)
    {
        var now = time.GetUtcNow();
        using var context = await contexts.CreateDbContextAsync(cancellationToken).ConfigureAwait(false);
        var transaction = await context.Database.BeginTransactionAsync(cancellationToken).ConfigureAwait(false);
        await using (transaction.ConfigureAwait(false))
        {
            var key = await context.ApiKeys.Include(row => row.User)
                .SingleOrDefaultAsync(row => row.Id == id && row.RevokedAt == null && (user == null || row.User!.Name == user), cancellationToken)
                .ConfigureAwait(false);
            if (key is null)
                return false;
            key.RevokedAt = now;
            var detail = JsonSerializer.SerializeToElement(new KeyDetail(key.Name, key.User!.Name, key.Role, key.Scopes), AuditJson.Default.KeyDetail);
            await audit.AddAsync(context, by, "key.revoked", id, detail, cancellationToken).ConfigureAwait(false);
            await context.SaveChangesAsync(cancellationToken).ConfigureAwait(false);
            await transaction.CommitAsync(cancellationToken).ConfigureAwait(false);
        }
        return true;
    }

    /// <summary>Nobody waits for it, and it may fail: a database that is locked or full must not keep out who only reads.</summary>
    private async Task NoteUseAsync(string id, DateTimeOffset now)
    {
        try
        {
            using var context = await contexts.CreateDbContextAsync().ConfigureAwait(false);
            await context.ApiKeys.Where(key => key.Id == id).ExecuteUpdateAsync(update => update.SetProperty(key => key.LastUsedAt, now)).ConfigureAwait(false);
        }
        catch (Exception e) when (e is DbException or ObjectDisposedException or InvalidOperationException)
        {
            // The next use is noted.
        }
        finally
        {
            noting.TryRemove(id, out _);
        }
    }

    private static List<string> Check(NewApiKey create, DateTimeOffset now)
    {
        List<string> errors = [];
        if (string.IsNullOrWhiteSpace(create.Name))
            errors.Add("The key has no name. Give it one that says where it is used.");
        if (create.Role is { } role && !Roles.All.Contains(role))
            errors.Add($"'{role}' is not a role. Choose one of: {string.Join(", ", Roles.All)}.");
        if (create.Scopes.Count == 0)
            errors.Add($"The key has no scope. Give it some, or {AllScopes} for all that its role may do.");
        errors.AddRange(create.Scopes.Where(scope => scope.Length == 0 || scope.Any(char.IsWhiteSpace)).Select(scope => $"'{scope}' is not a scope."));
        if (create.ExpiresAt <= now)
            errors.Add($"The expiry {create.ExpiresAt:O} has passed. Choose a later one.");
        return errors;
    }
}

/// <param name="Role">Null: that of its user.</param>
/// <param name="ExpiresAt">Null: never.</param>
public sealed record NewApiKey(string Name, string User, string? Role, IReadOnlyList<string> Scopes, DateTimeOffset? ExpiresAt);

/// <summary>Who asks: a user, signed in or by one of its keys.</summary>
/// <param name="Id">Of the user.</param>
/// <param name="Name">Of the user: two keys of one user are one person.</param>
public sealed record ApiPrincipal(string Id, string Name, string Role)
{
    /// <summary>The API key that was shown; null for a session.</summary>
    public string? KeyId { get; init; }

    /// <summary>The session of an access token made here; null for a key and for an external issuer's token.</summary>
    public string? SessionId { get; init; }

    /// <summary>The role of the key's owner now; null for a session, where <see cref="Role"/> is it.</summary>
    public string? OwnerRole { get; init; }

    /// <summary>Separated by spaces.</summary>
    /// <value>The default is <c>*</c>: all that the role allows.</value>
    public string Scopes { get; init; } = ApiKeys.AllScopes;
}

public abstract record KeyCreation
{
    private KeyCreation()
    {
    }

    /// <param name="Secret">Known only now: <c>mo_</c> and 43 base64url characters.</param>
    public sealed record Created(ApiKeyRow Key, string Secret) : KeyCreation;

    public sealed record NoSuchUser(string Name) : KeyCreation;

    /// <param name="Errors">Every fault, each saying what to do.</param>
    public sealed record Invalid(IReadOnlyList<string> Errors) : KeyCreation;
}

internal sealed record KeyDetail(string Name, string User, string Role, string Scopes);
