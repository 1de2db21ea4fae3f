using System.Text.Json;
using Microsoft.EntityFrameworkCore;
using ModelOps.Registry;
using ModelOps.Server.Datasets;
using ModelOps.Server.Jobs;
using ModelOps.Server.Workflows;
using ModelOps.Storage;
using ModelOps.Tests.EndToEnd;
using ModelOps.Workflows;
using Temporalio.Exceptions;
using Temporalio.Testing;

namespace ModelOps.Tests.Jobs;

/// <summary>What a repeated activity finds of the one before it, that did its work and was never heard of again.</summary>
public sealed class RegistryActivitiesTests
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task RecordDatasetVersion_DiedBetweenSigningAndListing_ListsTheVersionThatWasSigned()
    {
        var home = TestServer.NewHome();
        await using (var database = MetadataDatabase.Open(new MetadataOptions(), Path.Combine(home, "metadata.db")))
        {
            await database.MigrateAsync(Cancel);
            var store = new FileObjectStore(Path.Combine(home, "objects"));
            var keys = Path.Combine(home, "keys");
            var registry = new ArtifactRegistry(database, store, SigningKey.LoadOrCreate(keys), TrustedKeys.Load(keys), TimeProvider.System);
            var blobs = new BlobStore(store);
            var input = new RecordDatasetVersion(
                "rows",
                await StoredAsync(blobs, "rows.jsonl", home),
                new(
                    "sft",
                    new Dictionary<string, long>(StringComparer.Ordinal) { ["train"] = 1 },
                    new Dictionary<string, long>(StringComparer.Ordinal) { ["train"] = 3 },
                    RejectedRows: 0,
                    JsonElement.Parse("{}"),
                    await StoredAsync(blobs, IngestedDataset.ReportPath, home)),
                "somebody");
            var catalog = new DatasetCatalog(database, registry, blobs);
            var audit = new AuditLog(database, TimeProvider.System);

            var dying = new RegistryActivities(registry, new DatasetCatalog(new NoDatabase(), registry, blobs), audit, TimeProvider.System);
            await Assert.ThrowsAsync<ApplicationFailureException>(() => RunAsync(dying, Activities.RecordDatasetVersion, input, "job-1"));
            Assert.NotNull(await registry.GetAsync("rows@1", Cancel));
            Assert.Null(await catalog.FindAsync("rows", version: null, Cancel));

            var next = new RegistryActivities(registry, catalog, audit, TimeProvider.System);
            var first = await RunAsync(next, Activities.RecordDatasetVersion, input, "job-1");
            var again = await RunAsync(next, Activities.RecordDatasetVersion, input, "job-1");
            Assert.Equal("1", first.Version);
            Assert.Equal(first.Artifact, again.Artifact);
            await using (var context = ((IDbContextFactory<MetadataContext>)database).CreateDbContext())
                Assert.Equal("rows@1", (await context.DatasetVersions.AsNoTracking().SingleAsync(Cancel)).Artifact);
            Assert.Null(await registry.GetAsync("rows@2", Cancel));
            Assert.Equal("2", (await RunAsync(next, Activities.RecordDatasetVersion, input, "job-2")).Version);
        }
        Directory.Delete(home, recursive: true);
    }

    private static async Task<StoredFile> StoredAsync(BlobStore blobs, string path, string home)
    {
        var file = Path.Combine(home, "file");
        await File.WriteAllTextAsync(file, $"the content of {path}", Cancel);
        var blob = await blobs.PutFileAsync(file, Cancel);
        return new(path, blob.Size, blob.Sha256);
    }

    private static Task<TResult> RunAsync<TInput, TResult>(IControlActivities activities, Activity<TInput, TResult> activity, TInput input, string job)
    {
        var environment = new ActivityEnvironment { Info = ActivityEnvironment.DefaultInfo with { WorkflowId = job } };
        var definition = activities.Definitions.Single(definition => definition.Name == activity.Name);
        return environment.RunAsync(async () => (TResult)(await definition.InvokeAsync([input, new JobRun(1, TraceParent: null)]))!);
    }

    /// <summary>The database of a process that is about to die: it answers nothing any more.</summary>
    private sealed class NoDatabase : IDbContextFactory<MetadataContext>
    {
        public MetadataContext CreateDbContext() => throw new IOException("the process ended here");
    }
}
