using Microsoft.EntityFrameworkCore;
using ModelOps.Client;
using ModelOps.Registry;
using ModelOps.Workflows;

namespace ModelOps.Server.Training;

/// <summary>The series of metrics that jobs leave, in the metadata database.</summary>
public sealed class JobMetrics(IDbContextFactory<MetadataContext> contexts)
{
    /// <summary>Points of a series that one answer has where they are not reduced.</summary>
    public const int MostPoints = 10_000;

    /// <summary>A step that is done again, after a worker's death say, replaces what it left before.</summary>
    public async Task AddAsync(string job, IReadOnlyList<MetricPoint> points, CancellationToken cancellationToken)
    {
        if (points.Count == 0) return;
        var rows = points.SelectMany(point => point.Values.Select(value => new JobMetricRow { JobId = job, Name = value.Key, Step = point.Step, At = point.At, Value = value.Value }))
            .GroupBy(row => (row.Name, row.Step)).Select(same => same.Last()).ToList();
        await using var context = await contexts.CreateDbContextAsync(cancellationToken);
        await using var transaction = await context.Database.BeginTransactionAsync(cancellationToken);
        await context.LockAsync($"job metrics {job}", cancellationToken);
        if (!await context.Jobs.AnyAsync(row => row.Id == job, cancellationToken)) return;
        foreach (var series in rows.GroupBy(row => row.Name))
        {
            var (name, steps) = (series.Key, series.Select(row => row.Step).ToList());
            await context.JobMetrics.Where(row => row.JobId == job && row.Name == name && steps.Contains(row.Step)).ExecuteDeleteAsync(cancellationToken);
        }
        context.JobMetrics.AddRange(rows);
        await context.SaveChangesAsync(cancellationToken);
        await transaction.CommitAsync(cancellationToken);
    }

    /// <param name="names">None: all that there are.</param>
    /// <param name="after">Steps up to and with this one are left out.</param>
    /// <param name="most">Points of a series that are wanted, chosen so that its shape stays; null: the first <see cref="MostPoints"/>.</param>
    /// <returns>By name; one that has no point is left out.</returns>
    public async Task<IReadOnlyList<MetricSeries>> ReadAsync(string job, IReadOnlyList<string> names, long after, int? most, CancellationToken cancellationToken)
    {
        await using var context = await contexts.CreateDbContextAsync(cancellationToken);
        if (names.Count == 0) names = await context.JobMetrics.Where(row => row.JobId == job).Select(row => row.Name).Distinct().ToListAsync(cancellationToken);
        var series = new List<MetricSeries>();
        foreach (var name in names.Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal))
        {
            var rows = context.JobMetrics.AsNoTracking().Where(row => row.JobId == job && row.Name == name && row.Step > after)
                .OrderBy(row => row.Step).Select(row => new MetricValue(row.Step, row.At, row.Value));
            var points = most is null ? await rows.Take(MostPoints).ToListAsync(cancellationToken) : Downsampling.Reduce(await rows.ToListAsync(cancellationToken), most.Value);
            if (points.Count > 0) series.Add(new(name, points));
        }
        return series;
    }

    /// <summary>The values of a metric at some steps.</summary>
    public async Task<IReadOnlyDictionary<long, double>> AtAsync(string job, string name, IReadOnlyList<long> steps, CancellationToken cancellationToken)
    {
        await using var context = await contexts.CreateDbContextAsync(cancellationToken);
        return await context.JobMetrics.AsNoTracking().Where(row => row.JobId == job && row.Name == name && steps.Contains(row.Step))
            .ToDictionaryAsync(row => row.Step, row => row.Value, cancellationToken);
    }

    /// <returns>Null: it was never measured.</returns>
    public async Task<double?> LowestAsync(string job, string name, CancellationToken cancellationToken)
    {
        await using var context = await contexts.CreateDbContextAsync(cancellationToken);
        return await context.JobMetrics.Where(row => row.JobId == job && row.Name == name).MinAsync(row => (double?)row.Value, cancellationToken);
    }
}
