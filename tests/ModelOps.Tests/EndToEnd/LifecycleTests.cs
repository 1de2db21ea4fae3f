using System.Text.Json;
using ModelOps.Cli;
using ModelOps.Client;
using ModelOps.Tests.Cli;

namespace ModelOps.Tests.EndToEnd;

/// <summary>An artifact's life by the command line, on a real server.</summary>
public sealed class LifecycleTests
{
    [Fact]
    public async Task Artifact_PromotedAliasedTamperedArchived_IsAllowedAndRefusedWithTheRightCodes()
    {
        var cancel = TestContext.Current.CancellationToken;
        var home = TestServer.NewHome();
        var folder = Directory.CreateTempSubdirectory("modelops-files-").FullName;
        await File.WriteAllTextAsync(Path.Combine(folder, "config.json"), "{}", cancel);
        await using (var server = await TestServer.StartAsync(home, cancel))
        {
            await Run(ExitCodes.Done, "push", folder, "--name", "demo", "--kind", "model");

            // 1. One step at a time; the maker's own approval opens no gate.
            Assert.Contains("cannot go to PRODUCTION", (await Run(ExitCodes.Conflict, "promote", "demo", "--to", "PRODUCTION")).Error, StringComparison.Ordinal);
            Assert.Contains("STAGING", (await Run(ExitCodes.Done, "promote", "demo", "--to", "STAGING")).Out, StringComparison.Ordinal);
            await Run(ExitCodes.Done, "approve", "demo", "--to", "PRODUCTION", "--comment", "mine");
            Assert.Contains("approval: an approver other than", (await Run(ExitCodes.NotAllowed, "promote", "demo", "--to", "PRODUCTION")).Error, StringComparison.Ordinal);

            // 2. An alias resolves, compares and sets, and holds its artifact in use.
            await Run(ExitCodes.Done, "alias", "set", "demo@1", "champion", "--if-is", "");
            await Run(ExitCodes.Conflict, "alias", "set", "demo@1", "champion", "--if-is", "2");
            var shown = (await Run(ExitCodes.Done, "show", "demo:champion")).Out;
            Assert.Contains("alias    demo:champion", shown, StringComparison.Ordinal);
            Assert.Contains("approved for PRODUCTION by admin", shown, StringComparison.Ordinal);
            Assert.Contains("demo:champion", (await Run(ExitCodes.Conflict, "archive", "demo")).Error, StringComparison.Ordinal);
            Assert.Single(await server.Client.Artifacts.ListApprovalsAsync("demo", cancel));

            // 3. A tampered file is a failed verification, beside every other gate.
            var file = Assert.Single((await server.Client.Artifacts.GetAsync("demo", cancel)).Files);
            await StoredBytes.FlipAsync(home, file.Sha256, cancel);
            var tampered = (await Run(ExitCodes.VerificationFailed, "promote", "demo", "--to", "PRODUCTION")).Error;
            Assert.Contains("config.json was changed", tampered, StringComparison.Ordinal);
            Assert.Contains("approval:", tampered, StringComparison.Ordinal);

            // 4. Out of use; nothing points there again.
            await Run(ExitCodes.Done, "alias", "remove", "demo", "champion");
            await Run(ExitCodes.NotFound, "show", "demo:champion");
            Assert.Contains("ARCHIVED", (await Run(ExitCodes.Done, "archive", "demo")).Out, StringComparison.Ordinal);
            await Run(ExitCodes.Conflict, "alias", "set", "demo@1", "champion");
            Assert.Equal(["1", null], (await server.Client.Artifacts.ListAliasMovesAsync("demo", cancel)).Select(move => move.To));

            // 5. Lineage and retention answer.
            Assert.Contains("demo@1 (model, ARCHIVED)", (await Run(ExitCodes.Done, "lineage", "demo", "--direction", "both")).Out, StringComparison.Ordinal);
            using var events = JsonDocument.Parse((await Run(ExitCodes.Done, "lineage", "demo", "--format", "openlineage")).Out);
            Assert.Equal(0, events.RootElement.GetArrayLength()); // pushed by hand: no run made it
            var prune = JsonSerializer.Deserialize((await Run(ExitCodes.Done, "prune", "--dry-run", "--json")).Out, WireJson.Default.RetentionRun)!;
            Assert.True(prune.DryRun);
            Assert.Equal(0, prune.SetAside.Blobs);

            // 6. What nothing depends on can be deleted, by its version alone.
            await Run(ExitCodes.Usage, "rm", "demo");
            await Run(ExitCodes.Done, "push", folder, "--name", "demo", "--kind", "model");
            await Run(ExitCodes.Done, "alias", "set", "demo@2", "champion");
            Assert.Contains("alias demo:champion points to it", (await Run(ExitCodes.Conflict, "rm", "demo@2")).Error, StringComparison.Ordinal);
            Assert.Contains("demo@1 is deleted", (await Run(ExitCodes.Done, "rm", "demo@1")).Out, StringComparison.Ordinal);
            await Run(ExitCodes.NotFound, "show", "demo@1");
            Assert.Equal("admin", (await server.Client.Audit.ListAsync(new AuditFilter { Action = "artifact.deleted" }, cancel).SingleAsync(cancel)).Actor);
        }
        Directory.Delete(folder, recursive: true);
        Directory.Delete(home, recursive: true);

        async Task<CliRun> Run(int code, params string[] args)
        {
            var run = await CliRun.Of(["artifacts", .. args, "--home", home], cancellationToken: cancel);
            Assert.True(run.Code == code, $"{string.Join(' ', args)}: code {run.Code}, not {code}\n{run.Out}{run.Error}");
            return run;
        }
    }

    [Fact]
    [EmbeddedOnly("an object cannot be made to look old in S3; RetentionOnS3Tests moves the clock instead")]
    public async Task Start_WithAnOldBlobThatNothingRefersTo_SetsItAside()
    {
        var cancel = TestContext.Current.CancellationToken;
        var home = TestServer.NewHome();
        string[] blobs;
        await using (var server = await TestServer.StartAsync(home, cancel))
        {
            var folder = Directory.CreateTempSubdirectory("modelops-files-").FullName;
            await File.WriteAllTextAsync(Path.Combine(folder, "config.json"), "{}", cancel);
            var pushed = await server.Client.Artifacts.PushAsync("demo", "model", await LocalFiles.HashFolderAsync(folder, cancel), cancellationToken: cancel);
            Directory.Delete(folder, recursive: true);
            blobs = [new string('0', 64), pushed.Files[0].Sha256];
        }
        var (orphan, kept) = (PathOf(blobs[0]), PathOf(blobs[1]));
        Directory.CreateDirectory(Path.GetDirectoryName(orphan)!);
        await File.WriteAllTextAsync(orphan, "left over", cancel);
        foreach (var blob in new[] { orphan, kept }) File.SetLastWriteTimeUtc(blob, DateTime.UtcNow.AddDays(-2));
        await using (await TestServer.StartAsync(home, cancel)) await Eventually.HoldsAsync(() => !File.Exists(orphan), cancel);
        Assert.True(File.Exists(kept));
        Directory.Delete(home, recursive: true);

        string PathOf(string sha256) => Path.Combine(home, "objects/artifacts/blobs/sha256", sha256[..2], sha256);
    }
}
