using Microsoft.EntityFrameworkCore;
using ModelOps.Registry;

namespace ModelOps.Server.Files;

/// <param name="After">Id of the last file of the page before; null: from the beginning.</param>
/// <param name="Purpose">Null: all.</param>
/// <param name="Limit">Files at most.</param>
public sealed record FileQuery(string? After, string? Purpose, int Limit, bool OldestFirst);

/// <summary>The files of OpenAI's API in the metadata database: each is its owner's, and an administrator's. What has expired is not there.</summary>
public sealed class FileStore(IDbContextFactory<MetadataContext> contexts, TimeProvider time)
{
    public string NewId() => $"file-{Guid.CreateVersion7(time.GetUtcNow()):N}";

    /// <summary>Takes the place of one of the same id.</summary>
    public async Task PutAsync(FileRow file, CancellationToken cancellationToken)
    {
        await using var context = await contexts.CreateDbContextAsync(cancellationToken);
        await using var transaction = await context.Database.BeginTransactionAsync(cancellationToken);
        await context.Files.Where(row => row.Id == file.Id).ExecuteDeleteAsync(cancellationToken);
        context.Files.Add(file);
        await context.SaveChangesAsync(cancellationToken);
        await transaction.CommitAsync(cancellationToken);
    }

    /// <returns>Null: there is none, or it is somebody else's.</returns>
    public async Task<FileRow?> GetAsync(string id, ApiPrincipal reader, CancellationToken cancellationToken)
    {
        await using var context = await contexts.CreateDbContextAsync(cancellationToken);
        return await Visible(context, reader).SingleOrDefaultAsync(file => file.Id == id, cancellationToken);
    }

    public async Task<IReadOnlyList<FileRow>> ListAsync(FileQuery query, ApiPrincipal reader, CancellationToken cancellationToken)
    {
        await using var context = await contexts.CreateDbContextAsync(cancellationToken);
        var files = Visible(context, reader);
        if (query.Purpose is { } purpose) files = files.Where(file => file.Purpose == purpose);
        if (query.After is { } after) files = query.OldestFirst ? files.Where(file => string.Compare(file.Id, after) > 0) : files.Where(file => string.Compare(file.Id, after) < 0);
        files = query.OldestFirst ? files.OrderBy(file => file.Id) : files.OrderByDescending(file => file.Id);
        return await files.Take(query.Limit).ToListAsync(cancellationToken);
    }

    /// <returns>False: there is none, or it is somebody else's.</returns>
    public async Task<bool> DeleteAsync(string id, ApiPrincipal owner, CancellationToken cancellationToken)
    {
        await using var context = await contexts.CreateDbContextAsync(cancellationToken);
        return await Visible(context, owner).Where(file => file.Id == id).ExecuteDeleteAsync(cancellationToken) == 1;
    }

    /// <summary>Removes those that have expired; retention then lets their bytes go.</summary>
    public async Task SweepAsync(CancellationToken cancellationToken)
    {
        var now = time.GetUtcNow();
        await using var context = await contexts.CreateDbContextAsync(cancellationToken);
        await context.Files.Where(file => file.ExpiresAt <= now).ExecuteDeleteAsync(cancellationToken);
    }

    private IQueryable<FileRow> Visible(MetadataContext context, ApiPrincipal reader)
    {
        var (now, name, all) = (time.GetUtcNow(), reader.Name, reader.Role == Roles.Admin);
        return context.Files.AsNoTracking().Where(file => (all || file.CreatedBy == name) && (file.ExpiresAt == null || file.ExpiresAt > now));
    }
}
