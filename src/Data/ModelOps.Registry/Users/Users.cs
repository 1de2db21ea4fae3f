using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.EntityFrameworkCore;

namespace ModelOps.Registry;

/// <summary>Who there is. Each change and its audit row are one transaction; what takes rights away ends the user's sessions.</summary>
public sealed class Users(IDbContextFactory<MetadataContext> contexts, Sessions sessions, AuditLog audit, TimeProvider time)
{
    /// <summary>What changes users or begins or renews their sessions holds this lock.</summary>
    internal const string Lock = "users";

    /// <param name="passwordHash">Null: the user has API keys only.</param>
    public async Task<UserChange> AddAsync(
        string name, string role, string? passwordHash, string by, CancellationToken cancellationToken = default)
    {
        if (UserRules.Check(name, role) is { Count: > 0 } errors)
            return new UserChange.Invalid(errors);
        using var context = await contexts.CreateDbContextAsync(cancellationToken).ConfigureAwait(false);
        var transaction = await context.Database.BeginTransactionAsync(cancellationToken).ConfigureAwait(false);
        await using (transaction.ConfigureAwait(false))
        {
            await context.LockAsync(Lock, cancellationToken).ConfigureAwait(false);
            if (await context.Users.AnyAsync(row => row.Name == name, cancellationToken).ConfigureAwait(false))
                return new UserChange.Conflict($"The user {name} exists already. Choose another name.");
            var user = new UserRow
            {
                Id = Secret.NewId("user_"),
                Name = name,
                Role = role,
                PasswordHash = passwordHash,
                CreatedAt = time.GetUtcNow(),
            };
            context.Users.Add(user);
            await audit.AddAsync(context, by, "user.added", name, Detail(("role", role)), cancellationToken).ConfigureAwait(false);
            await context.SaveChangesAsync(cancellationToken).ConfigureAwait(false);
            await transaction.CommitAsync(cancellationToken).ConfigureAwait(false);
            return new UserChange.Done(user);
        }
    }

    public async Task<IReadOnlyList<UserRow>> ListAsync(CancellationToken cancellationToken = default)
    {
        using var context = await contexts.CreateDbContextAsync(cancellationToken).ConfigureAwait(false);
        return await context.Users.AsNoTracking().OrderBy(row => row.Name).ToListAsync(cancellationToken).ConfigureAwait(false);
    }

    public async Task<UserRow?> FindAsync(string name, CancellationToken cancellationToken = default)
    {
        using var context = await contexts.CreateDbContextAsync(cancellationToken).ConfigureAwait(false);
        return await context.Users.AsNoTracking().SingleOrDefaultAsync(row => row.Name == name, cancellationToken).ConfigureAwait(false);
    }

    public Task<UserChange> SetRoleAsync(string name, string role, string by, CancellationToken cancellationToken = default) =>
        ChangeAsync(name, by, "user.role_set", Detail(("role", role)), (context, user) => user.Role = role, cancellationToken, UserRules.Check(name, role));

    /// <summary>Ends its sessions; its API keys are refused until it is enabled again.</summary>
    public Task<UserChange> DisableAsync(string name, string by, CancellationToken cancellationToken = default) =>
        ChangeAsync(name, by, "user.disabled", Detail(), (_, user) => user.DisabledAt ??= time.GetUtcNow(), cancellationToken);

    public Task<UserChange> EnableAsync(string name, string by, CancellationToken cancellationToken = default) =>
        ChangeAsync(name, by, "user.enabled", Detail(), (_, user) => user.DisabledAt = null, cancellationToken);

    /// <summary>Its API keys go with it; what it made stays.</summary>
    public Task<UserChange> RemoveAsync(string name, string by, CancellationToken cancellationToken = default) =>
        ChangeAsync(name, by, "user.removed", Detail(), (context, user) => context.Users.Remove(user), cancellationToken);

    public Task<UserChange> SetPasswordAsync(string name, string passwordHash, string by, CancellationToken cancellationToken = default) =>
        ChangeAsync(
            name, by, "user.password_set", Detail(),
            (_, user) => (user.PasswordHash, user.PasswordChangedAt) = (passwordHash, time.GetUtcNow()),
            cancellationToken);

    /// <summary>The same password, hashed as passwords are hashed today.</summary>
    public async Task RehashAsync(UserRow user, string passwordHash, CancellationToken cancellationToken = default)
    {
        using var context = await contexts.CreateDbContextAsync(cancellationToken).ConfigureAwait(false);
        await context.Users.Where(row => row.Id == user.Id && row.PasswordHash == user.PasswordHash)
            .ExecuteUpdateAsync(update => update.SetProperty(row => row.PasswordHash, passwordHash), cancellationToken).ConfigureAwait(false);
    }

    private async Task<UserChange> ChangeAsync(
        string name,
        string by,
        string action,
        JsonElement detail,
        Action<MetadataContext, UserRow> change,
        CancellationToken cancellationToken,
        IReadOnlyList<string>? errors = null)
    {
        if (errors is { Count: > 0 })
            return new UserChange.Invalid(errors);
        using var context = await contexts.CreateDbContextAsync(cancellationToken).ConfigureAwait(false);
        var transaction = await context.Database.BeginTransactionAsync(cancellationToken).ConfigureAwait(false);
        await using (transaction.ConfigureAwait(false))
        {
            await context.LockAsync(Lock, cancellationToken).ConfigureAwait(false); // two administrators who disable each other must not both succeed
            if (await context.Users.SingleOrDefaultAsync(row => row.Name == name, cancellationToken).ConfigureAwait(false) is not { } user)
                return new UserChange.NotFound(name);
            change(context, user);
            await audit.AddAsync(context, by, action, name, detail, cancellationToken).ConfigureAwait(false);
            await context.SaveChangesAsync(cancellationToken).ConfigureAwait(false);
            if (!await context.Users.AnyAsync(row => row.Role == Roles.Admin && row.DisabledAt == null, cancellationToken).ConfigureAwait(false))
                return new UserChange.Conflict($"{name} is the last administrator who can sign in. Give another user the role {Roles.Admin} first.");
            var ended = await Sessions.EndAllAsync(context, user.Id, time.GetUtcNow(), cancellationToken).ConfigureAwait(false);
            await transaction.CommitAsync(cancellationToken).ConfigureAwait(false);
            sessions.Remember(ended);
            return new UserChange.Done(user);
        }
    }

    private static JsonElement Detail(params ReadOnlySpan<(string Name, string Value)> members)
    {
        var detail = new JsonObject();
        foreach (var (name, value) in members)
            detail[name] = value;
        return JsonElement.Parse(detail.ToJsonString());
    }
}

public abstract record UserChange
{
    private UserChange()
    {
    }

    public sealed record Done(UserRow User) : UserChange;

    public sealed record NotFound(string Name) : UserChange;

    public sealed record Conflict(string Reason) : UserChange;

    /// <param name="Errors">Every fault, each saying what to do.</param>
    public sealed record Invalid(IReadOnlyList<string> Errors) : UserChange;
}
