using System.Data.Common;
using System.Text.Json.Nodes;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Diagnostics;
using ModelOps.Registry;

namespace ModelOps.Data.Tests.Registry;

public abstract class LineageTests(TestDatabase database)
{
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task GetAsync_Chain_HasEachArtifactOnceWithJobsAndDeployments()
    {
        using var registry = await TestRegistry.CreateAsync(database);
        var (_, adapter, gguf) = await registry.RegisterChainAsync();
        await registry.RegisterAsync(await registry.DraftAsync("sibling", ArtifactKinds.Gguf, TestRegistry.Parent("adapter", adapter)));
        using (var context = await registry.Contexts.CreateDbContextAsync(Stop))
        {
            context.Jobs.Add(MadeBy("job-1", "adapter@1", registry));
            context.Deployments.Add(new DeploymentRow
            {
                Name = "chat",
                Artifact = "gguf@1",
                ManifestDigest = gguf.Digest,
                CreatedAt = registry.Time.GetUtcNow(),
                Adapters = [new() { Deployment = "chat", Name = "formal", Artifact = "adapter@1", ManifestDigest = adapter.Digest, CreatedAt = registry.Time.GetUtcNow() }],
            });
            await context.SaveChangesAsync(Stop);
        }
        var lineage = new ArtifactLineage(registry.Contexts);

        var up = (await lineage.GetAsync("gguf", LineageDirections.Upstream, Stop))!;
        Assert.Equal(["base@1", "adapter@1", "gguf@1"], up.Artifacts.Select(artifact => artifact.Reference));
        Assert.Equal(["base@1 base adapter@1", "adapter@1 adapter gguf@1", "base@1 base gguf@1"], Edges(up));
        Assert.Equal(["job-1 adapter@1"], up.Jobs.Select(job => $"{job.Id} {job.Artifact}"));
        Assert.Equal([("chat", gguf.Digest), ("chat:formal", adapter.Digest)], up.Deployments.Select(deployment => (deployment.Name, deployment.Digest)));

        var down = (await lineage.GetAsync("base", LineageDirections.Downstream, Stop))!;
        Assert.Equal(["base@1", "adapter@1", "gguf@1", "sibling@1"], down.Artifacts.Select(artifact => artifact.Reference));
        var both = (await lineage.GetAsync("adapter", LineageDirections.Both, Stop))!;
        Assert.Equal(["base@1 base adapter@1", "adapter@1 adapter gguf@1", "adapter@1 adapter sibling@1"], Edges(both));
        Assert.Null(await lineage.GetAsync("none", LineageDirections.Both, Stop));
    }

    [Fact]
    public async Task GetAsync_ThousandDeepAndThousandWide_TakesTheSameFewQueries()
    {
        using var registry = await TestRegistry.CreateAsync(database);
        await InsertAsync(registry, 2001, i => i == 0 ? null : i <= 1000 ? i - 1 : 1000); // a chain, then a fan at its end
        var counter = new CountingQueries();
        var lineage = new ArtifactLineage(new CountedContexts(registry.Database.ConnectionString, database, counter));

        var up = (await lineage.GetAsync("n1000", LineageDirections.Upstream, Stop))!;
        Assert.Equal((1001, 1000), (up.Artifacts.Count, up.Edges.Count));
        Assert.InRange(counter.Count, 1, 12);
        counter.Count = 0;
        var both = (await lineage.GetAsync("n1000", LineageDirections.Both, Stop))!;
        Assert.Equal((2001, 2000), (both.Artifacts.Count, both.Edges.Count));
        Assert.InRange(counter.Count, 1, 12);
    }

    [Fact]
    public async Task GetAsync_Cycle_Ends()
    {
        using var registry = await TestRegistry.CreateAsync(database);
        await InsertAsync(registry, 3, i => (i + 2) % 3);
        var graph = (await new ArtifactLineage(registry.Contexts).GetAsync("n0", LineageDirections.Both, Stop).WaitAsync(TimeSpan.FromSeconds(30), Stop))!;
        Assert.Equal((3, 3), (graph.Artifacts.Count, graph.Edges.Count));
    }

    [Fact]
    public async Task EventsOf_Chain_NamesRunsInputsAndOutputs()
    {
        using var registry = await TestRegistry.CreateAsync(database);
        await registry.RegisterChainAsync();
        using (var context = await registry.Contexts.CreateDbContextAsync(Stop))
        {
            context.Jobs.Add(MadeBy("job-1", "adapter@1", registry));
            await context.SaveChangesAsync(Stop);
        }
        var events = OpenLineage.EventsOf((await new ArtifactLineage(registry.Contexts).GetAsync("gguf", LineageDirections.Upstream, Stop))!);
        Assert.Equal(["START", "COMPLETE"], events.Select(e => (string?)e!["eventType"]));
        var complete = events[1]!;
        Assert.Equal("2026-03-01T12:00:00.000Z", (string?)complete["eventTime"]);
        Assert.Equal((string?)events[0]!["run"]!["runId"], (string?)complete["run"]!["runId"]);
        Assert.Equal('5', ((string)complete["run"]!["runId"]!)[14]); // the UUID's version
        Assert.Equal(["base"], ((JsonArray)complete["inputs"]!).Select(input => (string?)input!["name"]));
        var output = Assert.Single((JsonArray)complete["outputs"]!)!;
        Assert.Equal("1", (string?)output["facets"]!["version"]!["datasetVersion"]);
        Assert.StartsWith("sha256:", (string?)output["facets"]!["modelops_artifact"]!["digest"], StringComparison.Ordinal);
    }

    private static IEnumerable<string> Edges(LineageGraph graph) => graph.Edges.Select(edge => $"{edge.Parent} {edge.Role} {edge.Child}");

    private static JobRow MadeBy(string id, string artifact, TestRegistry registry) => new()
    {
        Id = id,
        Kind = "sft",
        State = "succeeded",
        CreatedBy = "admin",
        Engine = "embedded",
        Input = "{}",
        Artifact = artifact,
        CreatedAt = registry.Time.GetUtcNow(),
        FinishedAt = registry.Time.GetUtcNow(),
    };

    /// <summary>Rows without manifests: lineage reads none.</summary>
    private static async Task InsertAsync(TestRegistry registry, int count, Func<int, int?> parentOf)
    {
        using var context = await registry.Contexts.CreateDbContextAsync(Stop);
        for (var i = 0; i < count; i++)
        {
            context.Artifacts.Add(new ArtifactRow
            {
                Id = i + 1,
                Name = $"n{i}",
                Version = "1",
                Kind = ArtifactKinds.Model,
                Stage = Stages.Dev,
                Digest = $"{i:x64}",
                Manifest = "{}",
                CreatedBy = "ada",
                CreatedAt = registry.Time.GetUtcNow(),
            });
        }
        await context.SaveChangesAsync(Stop);
        for (var i = 0; i < count; i++)
        {
            if (parentOf(i) is { } parent)
                context.ArtifactEdges.Add(new ArtifactEdgeRow { ArtifactId = i + 1, ParentId = parent + 1, Role = "base" });
        }
        await context.SaveChangesAsync(Stop);
    }

    private sealed class CountedContexts(string connection, TestDatabase database, CountingQueries counter) : IDbContextFactory<MetadataContext>
    {
        public MetadataContext CreateDbContext()
        {
            var options = new DbContextOptionsBuilder().AddInterceptors(counter);
            return database == TestDatabase.Sqlite
                ? new SqliteMetadataContext(options.UseSqlite(connection).Options)
                : new PostgresMetadataContext(options.UseNpgsql(connection).Options);
        }
    }

    private sealed class CountingQueries : DbCommandInterceptor
    {
        public int Count { get; set; }

        public override ValueTask<InterceptionResult<DbDataReader>> ReaderExecutingAsync(
            DbCommand command, CommandEventData eventData, InterceptionResult<DbDataReader> result, CancellationToken cancellationToken = default)
        {
            Count++;
            return base.ReaderExecutingAsync(command, eventData, result, cancellationToken);
        }
    }
}

public sealed class NameGuidTests
{
    [Fact]
    public void Of_NameInTheDnsNamespace_IsTheUuidThatPythonsUuid5Gives() => Assert.Equal(
        Guid.Parse("2ed6657d-e927-568b-95e1-2665a8aea6a2"),
        NameGuid.Of(Guid.Parse("6ba7b810-9dad-11d1-80b4-00c04fd430c8"), "www.example.com"));
}

public sealed class LineageOnSqliteTests() : LineageTests(TestDatabase.Sqlite);

public sealed class LineageOnPostgreSqlTests() : LineageTests(TestDatabase.PostgreSql);
