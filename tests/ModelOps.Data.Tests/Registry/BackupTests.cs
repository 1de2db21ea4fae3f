using System.Formats.Tar;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.EntityFrameworkCore;
using ModelOps.Data.Tests.Delta;
using ModelOps.Registry;

namespace ModelOps.Data.Tests.Registry;

public abstract class BackupTests(TestDatabase database)
{
    private protected static readonly TimeSpan Patience = TimeSpan.FromSeconds(120);

    private protected static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(TestDatabase.Sqlite)]
    [InlineData(TestDatabase.PostgreSql)]
    public async Task RestoreAsync_IntoEitherDatabase_EveryRowIsBackAndTheAuditChainGoesOn(TestDatabase target)
    {
        using var from = await FilledAsync();
        using var to = await TestRegistry.CreateAsync(target);
        await new AuditLog(to.Contexts, to.Time).AppendAsync("old", "thing.done", "x", JsonElement.Parse("{}"), Stop);
        using var archive = await BackUpAsync(from);

        var restored = Assert.IsType<RestoreOutcome.Restored>(await RestoreAsync(to, archive));
        Assert.False(restored.Keys);
        Assert.Equal(from.Time.GetUtcNow(), restored.CreatedAt);
        var (before, after) = (await DumpAsync(from), await DumpAsync(to));
        Assert.Equal(before.Keys.Order(), after.Keys.Order());
        Assert.All(before.Where(table => table.Key != "audit"), table => Assert.Equal(table.Value, after[table.Key]));
        Assert.All(before, table => Assert.Equal(table.Value.Count, restored.Rows[table.Key]));
        Assert.All(before, table => Assert.NotEmpty(table.Value));

        Assert.Equal(before["audit"], after["audit"].SkipLast(1));
        using var context = to.Database.CreateDbContext();
        var last = await context.Audit.OrderBy(row => row.Sequence).LastAsync(Stop);
        Assert.Equal(("ada", "metadata.restored"), (last.Actor, last.Action));
        Assert.Contains("\"replaced_audit_sequence\":1", last.Detail, StringComparison.Ordinal);
        Assert.IsType<AuditVerification.Intact>(await new AuditLog(to.Contexts, to.Time).VerifyAsync(cancellationToken: Stop));
    }

    [Fact]
    public async Task RestoreAsync_ThenRegister_CountsOnAndKeepsTheAuditGuard()
    {
        using var from = await FilledAsync();
        using var to = await TestRegistry.CreateAsync(database);
        using var archive = await BackUpAsync(from);
        Assert.IsType<RestoreOutcome.Restored>(await RestoreAsync(to, archive));
        var next = await to.RegisterAsync(await to.DraftAsync("base") with { Version = "after" });
        Assert.Equal(next.Digest, (await to.Artifacts.GetAsync("base", Stop))!.Digest); // the newest has the largest id
        using var context = to.Database.CreateDbContext();
        await Assert.ThrowsAnyAsync<System.Data.Common.DbException>(() => context.Audit.ExecuteDeleteAsync(Stop));
    }

    [Fact]
    public async Task WriteAsync_WhileRowsAreWritten_IsOneMomentOfTheDatabase()
    {
        using var registry = await FilledAsync();
        using var writing = CancellationTokenSource.CreateLinkedTokenSource(Stop);
        var begun = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var writers = Enumerable.Range(0, 3).Select(writer => Task.Run(() => WriteJobsAsync(registry, writer, begun, writing.Token), Stop)).ToList();
        await begun.Task.WaitAsync(Patience, Stop);
        for (var i = 0; i < 5; i++)
        {
            using var archive = await BackUpAsync(registry);
            using var to = await TestRegistry.CreateAsync(TestDatabase.Sqlite);
            Assert.IsType<RestoreOutcome.Restored>(await RestoreAsync(to, archive)); // foreign keys hold, counts match
            using var context = to.Database.CreateDbContext();
            var jobs = await context.Jobs.CountAsync(job => job.Kind == "written", Stop);
            Assert.Equal(2 * jobs, await context.JobEvents.CountAsync(row => row.Message == "written", Stop)); // written together
        }
        await writing.CancelAsync();
        await Task.WhenAll(writers).WaitAsync(Patience, Stop);
    }

    [Fact]
    public async Task RestoreAsync_TargetWithRows_IsRefusedUntilReplacingIsAllowed()
    {
        using var from = await FilledAsync();
        using var to = await TestRegistry.CreateAsync(database);
        await to.RegisterAsync(await to.DraftAsync("mine"));
        using var archive = await BackUpAsync(from);
        var before = await DumpAsync(to);
        var refused = Assert.IsType<RestoreOutcome.NotEmpty>(await RestoreAsync(to, archive));
        Assert.Equal(["artifacts: 1", "artifact_files: 2"], refused.Tables);
        Assert.Equal(before, await DumpAsync(to));
        Assert.IsType<RestoreOutcome.Restored>(await RestoreAsync(to, archive, replace: true));
        Assert.Null(await to.Artifacts.GetAsync("mine", Stop));
    }

    [Fact]
    public async Task RestoreAsync_WhileAJobRuns_IsRefused()
    {
        using var from = await FilledAsync();
        using var archive = await BackUpAsync(from);
        using var to = await TestRegistry.CreateAsync(database);
        await AddJobAsync(to, "job-1", "sft", "running");
        Assert.Equal(["job-1"], Assert.IsType<RestoreOutcome.JobsUnfinished>(await RestoreAsync(to, archive, replace: true)).Jobs);
        Assert.Single((await DumpAsync(to))["jobs"]);
    }

    [Fact]
    public async Task RestoreAsync_DamagedArchive_NamesEveryFaultAndChangesNothing()
    {
        using var from = await FilledAsync();
        using var archive = await BackUpAsync(from);
        using var to = await TestRegistry.CreateAsync(database);
        var before = await DumpAsync(to);

        using var members = await EditAsync(archive, all =>
        {
            all["tables/jobs.jsonl"][3] ^= 1;
            all["tables/datasets.jsonl"] = [.. all["tables/datasets.jsonl"], .. "{}\n"u8];
            all.Remove("tables/api_keys.jsonl");
            all["surprise"] = [1];
        });
        var faults = Assert.IsType<RestoreOutcome.Damaged>(await RestoreAsync(to, members)).Faults;
        string[] expected =
        [
            "tables/jobs.jsonl was changed", "tables/datasets.jsonl has", "tables/api_keys.jsonl is missing", "surprise does not belong",
        ];
        Assert.Equal(expected.Length, faults.Count);
        Assert.All(expected, text => Assert.Contains(faults, fault => fault.StartsWith(text, StringComparison.Ordinal)));

        using var cut = new MemoryStream(archive.ToArray()[..(int)(archive.Length / 2)]);
        Assert.IsType<RestoreOutcome.Damaged>(await RestoreAsync(to, cut));
        using var empty = new MemoryStream();
        Assert.IsType<RestoreOutcome.Damaged>(await RestoreAsync(to, empty));
        Assert.Equal(before, await DumpAsync(to));
    }

    [Theory]
    [InlineData("format", "99", "its format is 99")]
    [InlineData("schema", "\"FromTheFuture\"", "its schema is FromTheFuture")]
    [InlineData("tables", "[]", "table jobs is missing")]
    [InlineData("keys", """[{"path":"../credentials.json","mode":384,"size":0,"sha256":""}]""", "would leave the keys folder")]
    [InlineData("keys", """[{"path":"a","mode":4095,"size":99999999,"sha256":""}]""", "none is that large")]
    [InlineData("tables", "[null]", "has gaps")]
    [InlineData("tables", "7", "it is no complete ModelOps backup")]
    public async Task RestoreAsync_ManifestOfSomethingElse_IsRefused(string property, string value, string fault)
    {
        using var from = await FilledAsync();
        using var archive = await BackUpAsync(from);
        using var edited = await EditAsync(archive, all => all["manifest.json"] = Set(all["manifest.json"], property, JsonNode.Parse(value)));
        using var to = await TestRegistry.CreateAsync(database);
        var faults = Assert.IsType<RestoreOutcome.Damaged>(await RestoreAsync(to, edited)).Faults;
        Assert.Contains(faults, text => text.Contains(fault, StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("deployments", """{"name":"d"}""", "it is not an object of 9 columns")]
    [InlineData("deployments", """{"artifact":"a","context_size":1.5,"created_at":1,"keep_alive_seconds":1,"manifest_digest":"m","name":"d","queue_length":1,"replicas":1,"slots":1}""", "column context_size holds no Int32")]
    [InlineData("deployments", """{"artifact":null,"context_size":1,"created_at":1,"keep_alive_seconds":1,"manifest_digest":"m","name":"d","queue_length":1,"replicas":1,"slots":1}""", "column artifact must not be null")]
    [InlineData("deployments", """{"artifact":"a","context_size":1,"created_at":1,"keep_alive_seconds":1,"manifest_digest":"m","name":"d","queue_length":1,"replicas":1,"rows":1}""", "column slots is missing")]
    [InlineData("job_events", """{"at":1,"job_id":"nobody","message":null,"progress":null,"sequence":1,"state":"queued"}""", "refused by the database")]
    public async Task RestoreAsync_ConsistentArchiveWithAWrongRow_IsRefusedAndNothingChanged(string table, string row, string fault)
    {
        using var from = await FilledAsync();
        using var archive = await BackUpAsync(from);
        using var edited = await EditAsync(archive, all => ReplaceRows(all, table, [row]));
        using var to = await TestRegistry.CreateAsync(database);
        await to.RegisterAsync(await to.DraftAsync("mine"));
        var before = await DumpAsync(to);
        var faults = Assert.IsType<RestoreOutcome.Damaged>(await RestoreAsync(to, edited, replace: true)).Faults;
        Assert.Contains(fault, Assert.Single(faults), StringComparison.Ordinal);
        Assert.Equal(before, await DumpAsync(to));
        using var context = to.Database.CreateDbContext();
        await new AuditLog(to.Contexts, to.Time).AppendAsync("a", "b", "c", JsonElement.Parse("{}"), Stop);
        await Assert.ThrowsAnyAsync<System.Data.Common.DbException>(() => context.Audit.ExecuteDeleteAsync(Stop)); // the guard came back with the rest
    }

    [Fact]
    public async Task RestoreAsync_WithKeys_TheyTakeTheirPlaceAtTheNextStart()
    {
        using var from = await FilledAsync();
        using var to = await TestRegistry.CreateAsync(database);
        using var archive = await BackUpAsync(from, withKeys: true);
        var own = to.Key.KeyId;

        Assert.True(Assert.IsType<RestoreOutcome.Restored>(await RestoreAsync(to, archive)).Keys);
        Assert.Equal(own, SigningKey.LoadOrCreate(to.Keys).KeyId);
        await RestoredKeys.ApplyAsync(to.Keys, to.Database, Stop);
        Assert.Equal(from.Key.KeyId, SigningKey.LoadOrCreate(to.Keys).KeyId);
        Assert.Contains(from.Key.KeyId, TrustedKeys.Load(to.Keys).KeyIds);
        Assert.Equal(own, SigningKey.LoadOrCreate(Assert.Single(Directory.GetDirectories(to.File("."), "keys.replaced-*"))).KeyId);
        await RestoredKeys.ApplyAsync(to.Keys, to.Database, Stop);
        Assert.Equal(from.Key.KeyId, SigningKey.LoadOrCreate(to.Keys).KeyId);
    }

    [Fact]
    public async Task ApplyAsync_KeysOfARestoreThatWasNotCommitted_AreRemoved()
    {
        using var to = await TestRegistry.CreateAsync(database);
        Directory.CreateDirectory(to.File("keys.restored-0123456789abcdef"));
        await RestoredKeys.ApplyAsync(to.Keys, to.Database, Stop);
        Assert.Empty(Directory.GetDirectories(to.File("."), "keys.re*"));
        Assert.Equal(to.Key.KeyId, SigningKey.LoadOrCreate(to.Keys).KeyId);
    }

    [Fact]
    public async Task WriteAsync_WithoutKeys_HoldsNone()
    {
        using var from = await FilledAsync();
        using var archive = await BackUpAsync(from);
        Assert.DoesNotContain(await MembersAsync(archive), member => member.Name.StartsWith("keys/", StringComparison.Ordinal));
        Assert.DoesNotContain("PRIVATE KEY", Encoding.Latin1.GetString(archive.ToArray()), StringComparison.Ordinal);
    }

    /// <summary>Every table has rows.</summary>
    private protected async Task<TestRegistry> FilledAsync()
    {
        var registry = await TestRegistry.CreateAsync(database);
        await registry.RegisterChainAsync();
        var audit = new AuditLog(registry.Contexts, registry.Time);
        var approver = new ApiPrincipal("key_2", "eve", Roles.Approver);
        await new ArtifactLifecycle(registry.Contexts, registry.Artifacts, audit, registry.Time)
            .JudgeAsync("base", Stages.Staging, approver, approve: true, "“gut”, \u2028 \\ \ud83d\ude00", Stop);
        Assert.IsType<AliasChange.Moved>(
            await new ArtifactAliases(registry.Contexts, audit, registry.Time).SetAsync("base", "champion", approver, cancellationToken: Stop));
        var people = await People.WithAsync(registry, ("ada", Roles.Engineer));
        await people.KeyAsync("ada");
        using (var users = registry.Database.CreateDbContext())
            Assert.NotNull(await people.Sessions.StartAsync(await users.Users.SingleAsync(Stop), "::1", Stop));
        await AddJobAsync(registry, "job-done", "sft", "succeeded");
        using var context = registry.Database.CreateDbContext();
        var at = registry.Time.GetUtcNow();
        context.JobLogs.Add(new JobLogRow { JobId = "job-done", Sequence = 1, At = at, Level = "Information", Text = "half a “line”" });
        context.JobMetrics.Add(new JobMetricRow { JobId = "job-done", Name = "loss", Step = 7, At = at, Value = 0.1 + 0.2 }); // no short decimal
        context.JobSamples.Add(new JobSampleRow { JobId = "job-done", Step = 7, Number = 1, At = at, Prompt = "“why?”\n", Text = "", Complete = false });
        context.BlobUses.Add(new BlobUseRow { Sha256 = new string('a', 64), At = at });
        context.Files.Add(new FileRow { Id = "file-1", Purpose = "batch", FileName = "b.jsonl", Size = 3, Sha256 = new string('a', 64), CreatedBy = "ada", CreatedAt = at });
        context.Datasets.Add(new DatasetRow { Name = "d", CreatedAt = at });
        context.DatasetVersions.Add(new DatasetVersionRow
        {
            Dataset = "d",
            Version = "1",
            CreatedAt = at,
            Task = "sft",
            Rows = """{"train":1}""",
            RejectedRows = long.MaxValue,
            SourceSha256 = new string('a', 64),
            TableVersions = "{}",
            Artifact = "d@1",
        });
        context.Deployments.Add(new DeploymentRow { Name = "live", Artifact = "gguf@1", ManifestDigest = "m", ContextSize = 64, CreatedAt = at, Adapters = [new() { Deployment = "live", Name = "formal", Artifact = "adapter@1", ManifestDigest = "a", CreatedAt = at }] });
        await context.SaveChangesAsync(Stop);
        return registry;
    }

    private protected static async Task<MemoryStream> BackUpAsync(TestRegistry registry, bool withKeys = false)
    {
        var archive = new MemoryStream();
        await new MetadataBackup(registry.Database, registry.Keys, registry.Time).WriteAsync(archive, withKeys, Stop);
        return archive;
    }

    private protected static Task<RestoreOutcome> RestoreAsync(TestRegistry registry, Stream archive, bool replace = false) =>
        new MetadataRestore(registry.Database, new AuditLog(registry.Contexts, registry.Time), registry.Keys).RestoreAsync(archive, "ada", replace, Stop);

    /// <summary>All rows of all tables, as a backup has them.</summary>
    private protected static async Task<Dictionary<string, List<string>>> DumpAsync(TestRegistry registry)
    {
        using var archive = await BackUpAsync(registry);
        return (await MembersAsync(archive)).Where(member => member.Name.StartsWith("tables/", StringComparison.Ordinal)).ToDictionary(
            member => Path.GetFileNameWithoutExtension(member.Name),
            member => Encoding.UTF8.GetString(member.Content).Split('\n', StringSplitOptions.RemoveEmptyEntries).ToList());
    }

    private protected static async Task<List<(string Name, byte[] Content)>> MembersAsync(MemoryStream archive)
    {
        archive.Position = 0;
        var members = new List<(string, byte[])>();
        await using var tar = new TarReader(archive, leaveOpen: true);
        while (await tar.GetNextEntryAsync(cancellationToken: Stop) is { } entry)
        {
            using var content = new MemoryStream();
            if (entry.DataStream is not null) await entry.DataStream.CopyToAsync(content, Stop);
            members.Add((entry.Name, content.ToArray()));
        }
        return members;
    }

    private protected static async Task<MemoryStream> EditAsync(MemoryStream archive, Action<OrderedDictionary<string, byte[]>> edit)
    {
        var members = new OrderedDictionary<string, byte[]>(await MembersAsync(archive) is var read
            ? read.Select(member => KeyValuePair.Create(member.Name, member.Content)) : []);
        edit(members);
        var edited = new MemoryStream();
        await using var tar = new TarWriter(edited, TarEntryFormat.Pax, leaveOpen: true);
        foreach (var (name, content) in members)
            await tar.WriteEntryAsync(new PaxTarEntry(TarEntryType.RegularFile, name) { DataStream = new MemoryStream(content) }, Stop);
        return edited;
    }

    private protected static async Task AddJobAsync(TestRegistry registry, string id, string kind, string state)
    {
        using var context = registry.Database.CreateDbContext();
        var at = registry.Time.GetUtcNow();
        context.Jobs.Add(new JobRow { Id = id, Kind = kind, State = state, CreatedBy = "admin", Engine = "embedded", Input = "{}", CreatedAt = at, CancelRequested = true });
        foreach (var sequence in new[] { 1, 2 })
            context.JobEvents.Add(new JobEventRow { JobId = id, Sequence = sequence, At = at, State = "queued", Message = kind });
        await context.SaveChangesAsync(Stop);
    }

    private static async Task WriteJobsAsync(TestRegistry registry, int writer, TaskCompletionSource begun, CancellationToken cancellationToken)
    {
        for (var n = 0; !cancellationToken.IsCancellationRequested; n++)
        {
            await AddJobAsync(registry, $"w{writer}-{n}", "written", "succeeded");
            begun.TrySetResult();
        }
    }

    private static byte[] Set(byte[] manifest, string property, JsonNode? value)
    {
        var json = JsonNode.Parse(manifest)!;
        json[property] = value;
        return Encoding.UTF8.GetBytes(json.ToJsonString());
    }

    /// <summary>With a manifest that agrees.</summary>
    private static void ReplaceRows(OrderedDictionary<string, byte[]> members, string table, string[] rows)
    {
        var lines = Encoding.UTF8.GetBytes(string.Concat(rows.Select(row => row + "\n")));
        members[$"tables/{table}.jsonl"] = lines;
        var manifest = JsonNode.Parse(members["manifest.json"])!;
        var saved = manifest["tables"]!.AsArray().Single(node => (string?)node!["name"] == table)!;
        (saved["rows"], saved["size"], saved["sha256"]) = (rows.Length, lines.Length, Convert.ToHexStringLower(SHA256.HashData(lines)));
        members["manifest.json"] = Encoding.UTF8.GetBytes(manifest.ToJsonString());
    }
}

public sealed class BackupOnSqliteTests() : BackupTests(TestDatabase.Sqlite)
{
    [Fact]
    public async Task RestoreAsync_RandomlyChangedArchive_IsRefusedOrMeansTheSame()
    {
        using var from = await FilledAsync();
        using var archive = await BackUpAsync(from, withKeys: true);
        var (original, random, refused) = (archive.ToArray(), new Random(7), 0);
        var rows = (await DumpAsync(from)).Where(table => table.Key != "audit").ToDictionary();
        using var to = await TestRegistry.CreateAsync(TestDatabase.Sqlite);
        for (var i = 0; i < 600; i++)
        {
            using var changed = new MemoryStream(Mutation.Of(original, random));
            switch (await RestoreAsync(to, changed, replace: true))
            {
                case RestoreOutcome.Damaged damaged:
                    Assert.NotEmpty(damaged.Faults);
                    refused++;
                    break;
                case RestoreOutcome.Restored:
                    var found = await DumpAsync(to);
                    Assert.All(rows, table => Assert.Equal(table.Value, found[table.Key]));
                    break;
                case var other:
                    Assert.Fail($"{other}");
                    break;
            }
        }
        Assert.InRange(refused, 300, 600);
    }
}

public sealed class BackupOnPostgreSqlTests() : BackupTests(TestDatabase.PostgreSql)
{
    [Fact]
    public async Task RestoreAsync_SessionKilledBeforeTheCommit_LeavesTheOldState()
    {
        using var from = await FilledAsync();
        using var archive = await BackUpAsync(from, withKeys: true);
        using var to = await TestRegistry.CreateAsync(TestDatabase.PostgreSql);
        await to.RegisterAsync(await to.DraftAsync("mine"));
        var before = await DumpAsync(to);

        using var holder = to.Database.CreateDbContext();
        await using (await holder.Database.BeginTransactionAsync(Stop))
        {
            // A restore stops at its last step, the audit row, with every table already replaced.
            await holder.LockAsync("audit", Stop);
            var restoring = RestoreAsync(to, archive, replace: true);
            await KillWaitingSessionAsync(to).WaitAsync(Patience, Stop);
            await Assert.ThrowsAnyAsync<Exception>(() => restoring.WaitAsync(Patience, Stop));
        }
        Assert.Equal(before, await DumpAsync(to));
        await RestoredKeys.ApplyAsync(to.Keys, to.Database, Stop);
        Assert.Equal(to.Key.KeyId, SigningKey.LoadOrCreate(to.Keys).KeyId);
    }

    private static async Task KillWaitingSessionAsync(TestRegistry registry)
    {
        using var context = registry.Database.CreateDbContext();
        const string kill = """
            SELECT count(pg_terminate_backend(pid)) AS "Value" FROM pg_stat_activity
            WHERE datname = current_database() AND wait_event_type = 'Lock' AND wait_event = 'advisory'
            """;
        while (await context.Database.SqlQueryRaw<long>(kill).SingleAsync(Stop) == 0)
            await Task.Yield();
    }
}
