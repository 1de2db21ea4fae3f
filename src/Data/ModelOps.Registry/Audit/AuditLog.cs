using System.Text;
using System.Text.Json;
using Microsoft.EntityFrameworkCore;

namespace ModelOps.Registry;

/// <summary>Who did what, append-only; an edited or missing row breaks the chain of hashes.</summary>
public sealed class AuditLog(IDbContextFactory<MetadataContext> contexts, TimeProvider time)
{
    /// <summary>For an event that changes nothing else in the database.</summary>
    /// <param name="detail">Any JSON value.</param>
    public async Task AppendAsync(
        string actor, string action, string subject, JsonElement detail, CancellationToken cancellationToken = default)
    {
        using var context = await contexts.CreateDbContextAsync(cancellationToken).ConfigureAwait(false);
        var transaction = await context.Database.BeginTransactionAsync(cancellationToken).ConfigureAwait(false);
        await using (transaction.ConfigureAwait(false))
        {
            await AddAsync(context, actor, action, subject, detail, cancellationToken).ConfigureAwait(false);
            await context.SaveChangesAsync(cancellationToken).ConfigureAwait(false);
            await transaction.CommitAsync(cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>Newest first.</summary>
    public async Task<IReadOnlyList<AuditRow>> ListAsync(AuditQuery query, CancellationToken cancellationToken = default)
    {
        using var context = await contexts.CreateDbContextAsync(cancellationToken).ConfigureAwait(false);
        return await context.Audit.AsNoTracking()
            .Where(row => query.Before == null || row.Sequence < query.Before)
            .Where(row => query.Actor == null || row.Actor == query.Actor)
            .Where(row => query.Action == null || row.Action == query.Action)
            .Where(row => query.Subject == null || row.Subject == query.Subject)
            .Where(row => query.Since == null || row.At >= query.Since)
            .OrderByDescending(row => row.Sequence).Take(query.Limit).ToListAsync(cancellationToken).ConfigureAwait(false);
    }

    /// <param name="noted">A head noted earlier; with it, rows cut off the end are found too.</param>
    public async Task<AuditVerification> VerifyAsync(AuditHead? noted = null, CancellationToken cancellationToken = default)
    {
        using var context = await contexts.CreateDbContextAsync(cancellationToken).ConfigureAwait(false);
        var head = new AuditHead(0, AuditChain.Start);
        var rows = context.Audit.AsNoTracking().OrderBy(row => row.Sequence).AsAsyncEnumerable();
        await foreach (var row in rows.WithCancellation(cancellationToken).ConfigureAwait(false))
        {
            if (AuditChain.Fault(row, head) is { } fault)
                return new AuditVerification.Broken(fault);
            head = new AuditHead(row.Sequence, row.Hash);
            if (row.Sequence == noted?.Sequence && row.Hash != noted.Hash)
                return new AuditVerification.Broken($"the chain up to row {row.Sequence} was rewritten: its hash was {noted.Hash}.");
        }
        return head.Sequence < noted?.Sequence
            ? new AuditVerification.Broken($"the rows {head.Sequence + 1} to {noted.Sequence} are missing.")
            : new AuditVerification.Intact(head);
    }

    /// <summary>Adds the row to a change that the caller saves: both happen or neither.</summary>
    internal async Task AddAsync(
        MetadataContext context, string actor, string action, string subject, JsonElement detail, CancellationToken cancellationToken)
    {
        await context.LockAsync("audit", cancellationToken).ConfigureAwait(false); // the last row stays the last until the new one is saved
        var last = await context.Audit.AsNoTracking().OrderByDescending(row => row.Sequence).FirstOrDefaultAsync(cancellationToken)
            .ConfigureAwait(false);
        var row = new AuditRow
        {
            Sequence = (last?.Sequence ?? 0) + 1,
            At = time.GetUtcNow(),
            Actor = actor,
            Action = action,
            Subject = subject,
            Detail = Encoding.UTF8.GetString(CanonicalJson.Serialize(detail)),
            Hash = "",
        };
        row.Hash = AuditChain.Hash(row, last?.Hash ?? AuditChain.Start);
        context.Audit.Add(row);
    }
}

/// <summary>What is null is not asked for.</summary>
/// <param name="Before">Only rows of a smaller sequence: the page after the one that ended there.</param>
public sealed record AuditQuery(int Limit, long? Before = null)
{
    public string? Actor { get; init; }
    public string? Action { get; init; }
    public string? Subject { get; init; }
    public DateTimeOffset? Since { get; init; }
}

public abstract record AuditVerification
{
    private AuditVerification()
    {
    }

    public sealed record Intact(AuditHead Head) : AuditVerification;

    public sealed record Broken(string Fault) : AuditVerification;
}
