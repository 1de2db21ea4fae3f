using Microsoft.EntityFrameworkCore;
using ModelOps.Client;
using ModelOps.Registry;
using ModelOps.Workflows;

namespace ModelOps.Server.Training;

/// <summary>What models made of prompts while they were trained, in the metadata database.</summary>
public sealed class JobSamples(IDbContextFactory<MetadataContext> contexts)
{
    /// <summary>Steps that one answer has samples of, at most and where nothing is said.</summary>
    public const int MostSteps = 100;
    public const int DefaultSteps = 20;

    /// <summary>A step that is measured again, after a worker's death say, replaces what it left before.</summary>
    public async Task AddAsync(string job, IReadOnlyList<SampledText> samples, CancellationToken cancellationToken)
    {
        if (samples.Count == 0) return;
        var rows = samples.GroupBy(sample => (sample.Step, sample.Number)).Select(same => same.Last()).Select(sample => new JobSampleRow
        {
            JobId = job,
            Step = sample.Step,
            Number = sample.Number,
            At = sample.At,
            Prompt = sample.Prompt,
            Text = sample.Text,
            Complete = sample.Complete,
        }).ToList();
        await using var context = await contexts.CreateDbContextAsync(cancellationToken);
        await using var transaction = await context.Database.BeginTransactionAsync(cancellationToken);
        await context.LockAsync($"job samples {job}", cancellationToken);
        if (!await context.Jobs.AnyAsync(row => row.Id == job, cancellationToken)) return;
        foreach (var row in rows)
            await context.JobSamples.Where(old => old.JobId == job && old.Step == row.Step && old.Number == row.Number).ExecuteDeleteAsync(cancellationToken);
        context.JobSamples.AddRange(rows);
        await context.SaveChangesAsync(cancellationToken);
        await transaction.CommitAsync(cancellationToken);
    }

    /// <summary>The last step first, and of a step by the number of the prompt.</summary>
    /// <param name="after">Steps up to and with this one are left out.</param>
    /// <param name="before">Steps from this one on are left out; null: none.</param>
    /// <param name="steps">Of so many steps at most, the last of them.</param>
    public async Task<IReadOnlyList<JobSample>> ReadAsync(string job, long after, long? before, int steps, CancellationToken cancellationToken)
    {
        await using var context = await contexts.CreateDbContextAsync(cancellationToken);
        var wanted = context.JobSamples.AsNoTracking().Where(row => row.JobId == job && row.Step > after && (before == null || row.Step < before));
        var last = await wanted.Select(row => row.Step).Distinct().OrderByDescending(step => step).Take(steps).ToListAsync(cancellationToken);
        if (last.Count == 0) return [];
        var least = last[^1];
        return await wanted.Where(row => row.Step >= least).OrderByDescending(row => row.Step).ThenBy(row => row.Number)
            .Select(row => new JobSample(row.Step, row.Number, row.At, row.Prompt, row.Text, row.Complete)).ToListAsync(cancellationToken);
    }
}
