using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.EntityFrameworkCore;

namespace ModelOps.Registry;

/// <summary>
/// Names such as <c>champion</c> that point to one version of an artifact: <c>name:alias</c> is accepted wherever a reference is, and
/// whoever uses it records the version that it pointed to. Each move, its history row and its audit row are one transaction.
/// </summary>
public sealed class ArtifactAliases(IDbContextFactory<MetadataContext> contexts, AuditLog audit, TimeProvider time)
{
    /// <summary>Points the alias to an artifact, of whose name it becomes an alias.</summary>
    /// <param name="ifIs">The version that the alias must point to for the move to happen; empty: it must not exist; null: whatever it is.</param>
    public async Task<AliasChange> SetAsync(
        string reference, string alias, ApiPrincipal by, string? ifIs = null, CancellationToken cancellationToken = default)
    {
        if (!ManifestRules.IsName(alias))
            return new AliasChange.Invalid(
                $"alias '{alias}': use 1 to 96 of a-z, 0-9, '.', '_' and '-', beginning with a letter or digit.");
        using var context = await contexts.CreateDbContextAsync(cancellationToken).ConfigureAwait(false);
        var transaction = await context.Database.BeginTransactionAsync(cancellationToken).ConfigureAwait(false);
        await using (transaction.ConfigureAwait(false))
        {
            await context.LockAsync("aliases", cancellationToken).ConfigureAwait(false); // what is compared stays so until it is set
            if (await ArtifactRegistry.FindAsync(context, reference, cancellationToken).ConfigureAwait(false) is not { } artifact)
                return new AliasChange.NotFound(reference);
            // Writing the row keeps it from being archived until this transaction ends.
            var live = await context.Artifacts.Where(row => row.Id == artifact.Id && row.Stage != Stages.Archived)
                .ExecuteUpdateAsync(update => update.SetProperty(row => row.Stage, row => row.Stage), cancellationToken).ConfigureAwait(false);
            if (live == 0)
                return new AliasChange.Archived($"{artifact.Name}@{artifact.Version}");

            var current = await CurrentAsync(context, artifact.Name, alias, cancellationToken).ConfigureAwait(false);
            if (ifIs is not null && ifIs != (current?.Artifact!.Version ?? ""))
                return new AliasChange.Changed(current?.Artifact!.Version);
            var from = current?.Artifact!.Version;
            if (current is null)
            {
                context.Aliases.Add(new AliasRow
                {
                    Name = artifact.Name,
                    Alias = alias,
                    ArtifactId = artifact.Id,
                    By = by.Name,
                    At = time.GetUtcNow(),
                });
            }
            else
            {
                (current.ArtifactId, current.By, current.At) = (artifact.Id, by.Name, time.GetUtcNow());
            }
            await RecordAsync(context, artifact.Name, alias, from, artifact.Version, by, cancellationToken).ConfigureAwait(false);
            await transaction.CommitAsync(cancellationToken).ConfigureAwait(false);
            return new AliasChange.Moved(from, artifact.Version);
        }
    }

    /// <param name="ifIs">The version that the alias must point to; null: whatever it is.</param>
    public async Task<AliasChange> RemoveAsync(
        string name, string alias, ApiPrincipal by, string? ifIs = null, CancellationToken cancellationToken = default)
    {
        using var context = await contexts.CreateDbContextAsync(cancellationToken).ConfigureAwait(false);
        var transaction = await context.Database.BeginTransactionAsync(cancellationToken).ConfigureAwait(false);
        await using (transaction.ConfigureAwait(false))
        {
            await context.LockAsync("aliases", cancellationToken).ConfigureAwait(false); // what is compared stays so until it is set
            if (await CurrentAsync(context, name, alias, cancellationToken).ConfigureAwait(false) is not { } current)
                return new AliasChange.NotFound($"{name}:{alias}");
            var version = current.Artifact!.Version;
            if (ifIs is not null && ifIs != version)
                return new AliasChange.Changed(version);
            context.Aliases.Remove(current);
            await RecordAsync(context, name, alias, version, to: null, by, cancellationToken).ConfigureAwait(false);
            await transaction.CommitAsync(cancellationToken).ConfigureAwait(false);
            return new AliasChange.Moved(version, To: null);
        }
    }

    /// <param name="name">Null: of every name.</param>
    public async Task<IReadOnlyList<AliasEntry>> ListAsync(string? name = null, CancellationToken cancellationToken = default)
    {
        using var context = await contexts.CreateDbContextAsync(cancellationToken).ConfigureAwait(false);
        return await context.Aliases.AsNoTracking().Where(row => name == null || row.Name == name)
            .OrderBy(row => row.Name).ThenBy(row => row.Alias)
            .Select(row => new AliasEntry(row.Name, row.Alias, row.Artifact!.Version, row.Artifact.Digest, row.By, row.At))
            .ToListAsync(cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Every move of a name's aliases, oldest first; those of removed aliases too.</summary>
    public async Task<IReadOnlyList<AliasMoveRow>> HistoryAsync(string name, CancellationToken cancellationToken = default)
    {
        using var context = await contexts.CreateDbContextAsync(cancellationToken).ConfigureAwait(false);
        return await context.AliasMoves.AsNoTracking().Where(row => row.Name == name).OrderBy(row => row.Id)
            .ToListAsync(cancellationToken).ConfigureAwait(false);
    }

    private static Task<AliasRow?> CurrentAsync(MetadataContext context, string name, string alias, CancellationToken cancellationToken) =>
        context.Aliases.Include(row => row.Artifact)
            .SingleOrDefaultAsync(row => row.Name == name && row.Alias == alias, cancellationToken);

    private async Task RecordAsync(
        MetadataContext context, string name, string alias, string? from, string? to, ApiPrincipal by, CancellationToken cancellationToken)
    {
        context.AliasMoves.Add(new AliasMoveRow
        {
            Name = name,
            Alias = alias,
            From = from,
            To = to,
            By = by.Name,
            At = time.GetUtcNow(),
        });
        var detail = new JsonObject { ["from"] = from, ["to"] = to };
        var action = to is null ? "alias.removed" : "alias.moved";
        await audit.AddAsync(context, by.Name, action, $"{name}:{alias}", JsonElement.Parse(detail.ToJsonString()), cancellationToken)
            .ConfigureAwait(false);
        await context.SaveChangesAsync(cancellationToken).ConfigureAwait(false);
    }
}

public sealed record AliasEntry(string Name, string Alias, string Version, string Digest, string By, DateTimeOffset At);

public abstract record AliasChange
{
    private AliasChange()
    {
    }

    /// <param name="From">The version before; null: it is new.</param>
    /// <param name="To">The version now; null: it is removed.</param>
    public sealed record Moved(string? From, string? To) : AliasChange;

    /// <summary>No such artifact or alias.</summary>
    public sealed record NotFound(string Reference) : AliasChange;

    /// <summary>The artifact is archived: nothing may point to it.</summary>
    public sealed record Archived(string Reference) : AliasChange;

    /// <summary>The alias is not what the caller expected; nothing was changed.</summary>
    /// <param name="Version">What it points to; null: there is none.</param>
    public sealed record Changed(string? Version) : AliasChange;

    public sealed record Invalid(string Error) : AliasChange;
}
