using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using ModelOps.Client;
using ModelOps.Registry;
using ModelOps.Server.Deployments;
using ModelOps.Server.Files;
using ModelOps.Server.Training;
using ModelOps.Server.Workflows;
using ModelOps.Workflows;
using Temporalio.Activities;

namespace ModelOps.Server.FineTuning;

/// <summary>The steps of a fine-tuning that no other job has: its file of results, and serving what it made.</summary>
public sealed class FineTuningActivities(JobMetrics metrics, BlobStore blobs, FileStore files, DeploymentManager deployments, AuditLog audit, TimeProvider time) : IControlActivities
{
    /// <summary>Of the job's series those that are the same however often it was interrupted, under OpenAI's names.</summary>
    private static readonly (string Series, string Column)[] columns =
        [("loss", "train_loss"), ("validation_loss", "valid_loss"), ("learning_rate", "learning_rate"), ("grad_norm", "grad_norm")];

    public IEnumerable<ActivityDefinition> Definitions =>
    [
        ControlActivity.Of(Activities.StoreTrainingResults, StoreAsync),
        ControlActivity.Of(Activities.DeployModel, DeployAsync),
    ];

    private async Task<UploadedFile> StoreAsync(string job, StoreTrainingResults input, CancellationToken cancellationToken)
    {
        var bytes = Encoding.UTF8.GetBytes(await TableAsync(job, cancellationToken));
        using var content = new MemoryStream(bytes);
        await using var staged = await blobs.StageAsync(content, cancellationToken: cancellationToken);
        await staged.KeepAsync(cancellationToken);
        var file = new FileRow
        {
            Id = FineTuningIds.OfResults(job),
            Purpose = FilePurposes.FineTuneResults,
            FileName = "step_metrics.csv",
            Size = staged.Size,
            Sha256 = staged.Sha256,
            CreatedBy = input.CreatedBy,
            CreatedAt = time.GetUtcNow(),
        };
        await files.PutAsync(file, cancellationToken);
        return new(file.Id, new StoredFile(file.FileName, file.Size, file.Sha256));
    }

    /// <summary>CSV, a line a step; what was not measured at a step is empty.</summary>
    private async Task<string> TableAsync(string job, CancellationToken cancellationToken)
    {
        var steps = new SortedDictionary<long, double?[]>();
        for (var column = 0; column < columns.Length; column++)
            await foreach (var point in PointsAsync(job, columns[column].Series, cancellationToken))
            {
                if (!steps.TryGetValue(point.Step, out var values)) steps[point.Step] = values = new double?[columns.Length];
                values[column] = point.Value;
            }
        var table = new StringBuilder($"step,{string.Join(',', columns.Select(column => column.Column))}\n");
        foreach (var (step, values) in steps)
            table.Append(CultureInfo.InvariantCulture, $"{step},{string.Join(',', values.Select(value => value?.ToString("R", CultureInfo.InvariantCulture)))}\n");
        return table.ToString();
    }

    private async IAsyncEnumerable<MetricValue> PointsAsync(string job, string name, [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var after = -1L;
        while ((await metrics.ReadAsync(job, [name], after, most: null, cancellationToken)).SingleOrDefault() is { Points: { Count: > 0 } points })
        {
            foreach (var point in points) yield return point;
            after = points[^1].Step;
        }
    }

    private async Task<DeployedModel> DeployAsync(string job, DeployModel input, CancellationToken cancellationToken)
    {
        switch (await deployments.CreateAsync(new CreateDeployment { Name = input.Name, Artifact = input.Artifact.ToString() }, input.CreatedBy, cancellationToken))
        {
            case DeployResult.Deployed:
                var detail = new JsonObject { ["artifact"] = input.Artifact.ToString(), ["job"] = job };
                await audit.AppendAsync(input.CreatedBy, "deployment.created", input.Name, JsonElement.Parse(detail.ToJsonString()), cancellationToken);
                return new(input.Name);
            case DeployResult.Refused refused:
                throw new ActivityException(ActivityFailures.VerificationFailed, refused.Reason);
            case DeployResult.Invalid invalid:
                throw new ActivityException(ActivityFailures.InvalidInput, string.Join('\n', invalid.Faults));
            case DeployResult.TooLow low:
                throw new ActivityException(ActivityFailures.InvalidInput, string.Join('\n', low.Gates));
            case var other:
                throw new InvalidOperationException($"{input.Artifact} cannot be served: {other}");
        }
    }
}
