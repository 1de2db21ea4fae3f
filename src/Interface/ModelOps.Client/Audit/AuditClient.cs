using System.Globalization;
using System.Runtime.CompilerServices;
using System.Text.Json;

namespace ModelOps.Client;

/// <summary>Who did what, when. Rows are never changed; each holds the hash of all before it.</summary>
public sealed record AuditEntry
{
    /// <summary>Counts from 1 without gaps.</summary>
    public required long Sequence { get; init; }
    public required DateTimeOffset At { get; init; }
    public required string Actor { get; init; }
    /// <summary>What was done: <c>user.signed_in</c>, <c>job.started</c>.</summary>
    public required string Action { get; init; }
    /// <summary>To what: a user, a job, <c>name@version</c>.</summary>
    public required string Subject { get; init; }
    public required JsonElement Detail { get; init; }
    public required string Hash { get; init; }
}

/// <param name="Fault">The first row that was changed or is missing; null when the chain is intact.</param>
/// <param name="Head">The last row of an intact chain, <c>N:HASH</c>: noted elsewhere, it shows later that nothing before it was changed or cut off.</param>
public sealed record AuditReport(bool Intact, string? Fault, string? Head);

/// <summary>What is null is not asked for.</summary>
public sealed record AuditFilter
{
    public string? Actor { get; init; }
    public string? Action { get; init; }
    public string? Subject { get; init; }
    public DateTimeOffset? Since { get; init; }
}

/// <summary>The audit log; for administrators and approvers.</summary>
public sealed class AuditClient
{
    private const int PageSize = 200;
    private readonly ApiConnection connection;

    internal AuditClient(ApiConnection connection) => this.connection = connection;

    /// <summary>Newest first; pages are fetched as they are needed.</summary>
    public async IAsyncEnumerable<AuditEntry> ListAsync(
        AuditFilter filter, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        long? before = null;
        while (true)
        {
            var page = await connection.GetAsync(PathOf(filter, before), WireJson.Default.PageAuditEntry, cancellationToken).ConfigureAwait(false);
            foreach (var entry in page.Items)
            {
                yield return entry;
            }
            if (page.Items.Count < PageSize)
            {
                yield break;
            }
            before = page.Items[^1].Sequence;
        }
    }

    /// <param name="head">A head noted earlier, <c>N:HASH</c>; with it, rows cut off the end are found too.</param>
    public Task<AuditReport> VerifyAsync(string? head = null, CancellationToken cancellationToken = default) =>
        connection.GetAsync(
            head is null ? "api/v1/audit/verification" : $"api/v1/audit/verification?head={Uri.EscapeDataString(head)}",
            WireJson.Default.AuditReport, cancellationToken);

    private static string PathOf(AuditFilter filter, long? before)
    {
        var query = new List<string> { $"limit={PageSize}" };
        Add("actor", filter.Actor);
        Add("action", filter.Action);
        Add("subject", filter.Subject);
        Add("since", filter.Since?.ToString("O", CultureInfo.InvariantCulture));
        Add("before", before?.ToString(CultureInfo.InvariantCulture));
        return $"api/v1/audit?{string.Join('&', query)}";

        void Add(string name, string? value)
        {
            if (value is not null)
            {
                query.Add($"{name}={Uri.EscapeDataString(value)}");
            }
        }
    }
}
