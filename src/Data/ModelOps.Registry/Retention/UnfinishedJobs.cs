using System.Text.Json;
using Microsoft.EntityFrameworkCore;

namespace ModelOps.Registry;

/// <summary>What unfinished jobs count on: every text in their inputs, be it a reference or a digest.</summary>
internal sealed class UnfinishedJobs
{
    private readonly Dictionary<string, string> jobsByText = [];

    /// <summary>When the oldest was made; null when there is none.</summary>
    public DateTimeOffset? Oldest { get; private init; }

    public static async Task<UnfinishedJobs> LoadAsync(MetadataContext context, CancellationToken cancellationToken)
    {
        var rows = await context.Jobs.AsNoTracking().Where(job => job.FinishedAt == null)
            .Select(job => new { job.Id, job.Input, job.CreatedAt }).ToListAsync(cancellationToken).ConfigureAwait(false);
        var jobs = new UnfinishedJobs { Oldest = rows.Count == 0 ? null : rows.Min(row => row.CreatedAt) };
        foreach (var row in rows)
        {
            using var input = JsonDocument.Parse(row.Input);
            jobs.Add(row.Id, input.RootElement);
        }
        return jobs;
    }

    /// <returns>A job whose input has this text; null when none has.</returns>
    public string? Naming(string text) => jobsByText.GetValueOrDefault(text);

    private void Add(string job, JsonElement element)
    {
        switch (element.ValueKind)
        {
            case JsonValueKind.String:
                jobsByText.TryAdd(element.GetString()!, job);
                break;
            case JsonValueKind.Array:
                foreach (var item in element.EnumerateArray())
                    Add(job, item);
                break;
            case JsonValueKind.Object:
                foreach (var property in element.EnumerateObject())
                    Add(job, property.Value);
                break;
        }
    }
}
