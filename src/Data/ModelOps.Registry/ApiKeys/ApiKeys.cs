using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;
using Microsoft.EntityFrameworkCore;

namespace ModelOps.Registry;

/// <summary>API keys: shown once, kept as a hash.</summary>
public sealed class ApiKeys(IDbContextFactory<MetadataContext> contexts, TimeProvider time)
{
    private const string prefix = "mo_";
    private const int secretBytes = 32;

    /// <param name="expiresAt">Null: never.</param>
    /// <exception cref="ArgumentException">The role is unknown, the name is empty, or the expiry has passed.</exception>
    public async Task<CreatedApiKey> CreateAsync(
        string name, string role, DateTimeOffset? expiresAt = null, CancellationToken cancellationToken = default)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(name);
        if (!Roles.All.Contains(role))
            throw new ArgumentException($"'{role}' is not a role. Choose one of: {string.Join(", ", Roles.All)}.", nameof(role));
        var now = time.GetUtcNow();
        if (expiresAt <= now)
            throw new ArgumentException($"The expiry {expiresAt:O} has passed. Choose a later one.", nameof(expiresAt));

        var secret = prefix + Base64Url.EncodeToString(RandomNumberGenerator.GetBytes(secretBytes));
        var row = new ApiKeyRow
        {
            Id = $"key_{RandomNumberGenerator.GetHexString(16, lowercase: true)}",
            Name = name,
            Hash = Hash(secret),
            Role = role,
            CreatedAt = now,
            ExpiresAt = expiresAt,
        };
        using var context = await contexts.CreateDbContextAsync(cancellationToken).ConfigureAwait(false);
        context.ApiKeys.Add(row);
        await context.SaveChangesAsync(cancellationToken).ConfigureAwait(false);
        return new CreatedApiKey(new ApiPrincipal(row.Id, name, role), secret);
    }

    /// <returns>Null for a secret that is unknown, expired or revoked.</returns>
    public async Task<ApiPrincipal?> AuthenticateAsync(string secret, CancellationToken cancellationToken = default)
    {
        var hash = Hash(secret);
        using var context = await contexts.CreateDbContextAsync(cancellationToken).ConfigureAwait(false);
        var row = await context.ApiKeys.AsNoTracking().SingleOrDefaultAsync(key => key.Hash == hash, cancellationToken)
            .ConfigureAwait(false);
        if (row is null || !CryptographicOperations.FixedTimeEquals(Encoding.ASCII.GetBytes(hash), Encoding.ASCII.GetBytes(row.Hash)))
            return null;
        var usable = row.RevokedAt is null && (row.ExpiresAt is null || time.GetUtcNow() < row.ExpiresAt);
        return usable ? new ApiPrincipal(row.Id, row.Name, row.Role) : null;
    }

    /// <returns>False when there is no such key or it was revoked before.</returns>
    public async Task<bool> RevokeAsync(string id, CancellationToken cancellationToken = default)
    {
        var now = time.GetUtcNow();
        using var context = await contexts.CreateDbContextAsync(cancellationToken).ConfigureAwait(false);
        var revoked = await context.ApiKeys.Where(key => key.Id == id && key.RevokedAt == null)
            .ExecuteUpdateAsync(update => update.SetProperty(key => key.RevokedAt, now), cancellationToken).ConfigureAwait(false);
        return revoked == 1;
    }

    private static string Hash(string secret) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(secret)));
}

public sealed record ApiPrincipal(string Id, string Name, string Role);

/// <param name="Secret">Known only now: <c>mo_</c> and 43 base64url characters.</param>
public sealed record CreatedApiKey(ApiPrincipal Principal, string Secret);

public static class Roles
{
    public const string Viewer = "viewer";
    public const string Engineer = "engineer";
    public const string Approver = "approver";
    public const string Admin = "admin";
    public const string Service = "service";

    public static IReadOnlyList<string> All { get; } = [Viewer, Engineer, Approver, Admin, Service];
}
