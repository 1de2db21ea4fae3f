using System.Diagnostics;
using System.Formats.Tar;
using System.Net;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json;
using ModelOps.Cli;
using ModelOps.Client;
using ModelOps.Tests.Cli;
using ModelOps.Tests.EndToEnd;

namespace ModelOps.Tests.Gateway;

/// <summary>Two servers that know nothing of each other: one exports, the other imports.</summary>
public sealed class TwoServers : IAsyncLifetime
{
    private TestServer? maker;
    private TestServer? taker;

    internal TestServer Maker => maker!;
    internal TestServer Taker => taker!;

    public async ValueTask InitializeAsync()
    {
        maker = await TestServer.StartAsync(TestServer.NewHome(), CancellationToken.None);
        taker = await TestServer.StartAsync(TestServer.NewHome(), CancellationToken.None);
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var server in new[] { Maker, Taker })
        {
            await server.DisposeAsync();
            Directory.Delete(server.Home, recursive: true);
        }
    }
}

/// <summary>Export, import, revocation and signing keys, through the command line and real servers.</summary>
public sealed class PackageTests(TwoServers servers) : IClassFixture<TwoServers>, IDisposable
{
    private readonly string folder = Directory.CreateTempSubdirectory("modelops-package-").FullName;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public void Dispose() => Directory.Delete(folder, recursive: true);

    [Theory]
    [InlineData("out")]
    [InlineData("out.tar")]
    public async Task Import_OfAnExport_KeepsManifestAndSignatureAndTrustsOnlyWhenTold(string output)
    {
        var name = await PushAsync("moves");
        var path = Path.Combine(folder, output);
        AssertDone(await RunAsync(servers.Maker, "artifacts", "export", name, path));
        var original = await servers.Maker.Client.Artifacts.GetAsync(name, Cancel);
        var key = (await servers.Maker.Client.SigningKeys.ListAsync(Cancel)).Single(key => key.Current);

        if (!(await servers.Taker.Client.SigningKeys.ListAsync(Cancel)).Any(known => known.KeyId == key.KeyId))
        {
            var refused = await RunAsync(servers.Taker, "artifacts", "import", path);
            Assert.Equal(ExitCodes.VerificationFailed, refused.Code);
            Assert.Contains(key.Fingerprint, refused.Error, StringComparison.Ordinal);
            Assert.Contains("signing trust", refused.Error, StringComparison.Ordinal);
        }
        AssertDone(await RunAsync(servers.Taker, "artifacts", "import", path, "--trust"));
        var imported = await servers.Taker.Client.Artifacts.GetAsync(name, Cancel);
        Assert.Equal((original.Digest, original.CreatedBy, original.CreatedAt), (imported.Digest, imported.CreatedBy, imported.CreatedAt));
        Assert.True((await servers.Taker.Client.Artifacts.VerifyAsync(name, cancellationToken: Cancel)).Verified);

        var again = await RunAsync(servers.Taker, "artifacts", "import", path);
        AssertDone(again);
        Assert.Contains("was here already", again.Out, StringComparison.Ordinal);
        Assert.Equal(ExitCodes.Conflict, (await RunAsync(servers.Maker, "artifacts", "export", name, path)).Code);
        Assert.DoesNotContain(Directory.EnumerateFileSystemEntries(folder), entry => entry.EndsWith(".partial", StringComparison.Ordinal));
    }

    /// <summary>The README's own words, but for the tool that is not on this machine.</summary>
    [Fact]
    public async Task Readme_Commands_VerifyWithStandardToolsAndFindAChange()
    {
        SkipWithoutOpenSsl();
        var name = await PushAsync("readme");
        var path = Path.Combine(folder, "out");
        AssertDone(await RunAsync(servers.Maker, "artifacts", "export", name, path));
        var readme = await File.ReadAllTextAsync(Path.Combine(path, "README.md"), Cancel);
        var commands = readme.Split('\n').Where(line => line.StartsWith("    ", StringComparison.Ordinal)).Select(line => line[4..]).ToList();
        var script = string.Join('\n', commands.Where(line => !line.StartsWith("modelops ", StringComparison.Ordinal) && !line.StartsWith("model_signing ", StringComparison.Ordinal)));
        Assert.Contains("openssl pkeyutl", script, StringComparison.Ordinal);

        var (code, output) = await ShellAsync(script, path);
        Assert.True(code == 0, output);
        var key = (await servers.Maker.Client.SigningKeys.ListAsync(Cancel)).Single(key => key.Current);
        Assert.Contains(key.Fingerprint, output, StringComparison.Ordinal);

        foreach (var file in new[] { "files/config.json", "manifest.json", "manifest.sig", "SHA256SUMS" })
        {
            var bytes = await File.ReadAllBytesAsync(Path.Combine(path, file), Cancel);
            bytes[10] ^= 1;
            await File.WriteAllBytesAsync(Path.Combine(path, file), bytes, Cancel);
            Assert.NotEqual(0, (await ShellAsync(script, path)).Code);
            bytes[10] ^= 1;
            await File.WriteAllBytesAsync(Path.Combine(path, file), bytes, Cancel);
        }
        Assert.Equal(0, (await ShellAsync(script, path)).Code);
    }

    [Fact]
    public async Task Import_ChangedExtraMissingOrLinkedFile_IsRefusedAndNamed()
    {
        var name = await PushAsync("broken");
        var path = Path.Combine(folder, "out");
        AssertDone(await RunAsync(servers.Maker, "artifacts", "export", name, path));
        var file = Path.Combine(path, "files", "config.json");
        var bytes = await File.ReadAllBytesAsync(file, Cancel);

        await File.WriteAllBytesAsync(file, [.. bytes[..^1], (byte)'!'], Cancel);
        await AssertRefusedAsync(path, "config.json was changed");
        File.Delete(file);
        await AssertRefusedAsync(path, "config.json is missing");
        File.CreateSymbolicLink(file, "/etc/hostname");
        await AssertRefusedAsync(path, "is a symbolic link");
        File.Delete(file);
        await File.WriteAllBytesAsync(file, bytes, Cancel);
        await File.WriteAllTextAsync(Path.Combine(path, "files", "extra.py"), "x", Cancel);
        await AssertRefusedAsync(path, "extra.py is extra");
        Assert.DoesNotContain(await servers.Taker.Client.Artifacts.ListAsync(cancellationToken: Cancel), artifact => artifact.Name == "broken");
    }

    [Theory]
    [InlineData("../escape", TarEntryType.RegularFile)]
    [InlineData("/etc/escape", TarEntryType.RegularFile)]
    [InlineData("files/../../escape", TarEntryType.RegularFile)]
    [InlineData("files/config.json", TarEntryType.SymbolicLink)]
    [InlineData("files/config.json", TarEntryType.HardLink)]
    [InlineData("files/extra.bin", TarEntryType.RegularFile)]
    public async Task Import_TarWithAHostileEntry_IsRefusedAndWritesNothing(string entryName, TarEntryType type)
    {
        var name = await PushAsync("hostile");
        var path = Path.Combine(folder, "out.tar");
        AssertDone(await RunAsync(servers.Maker, "artifacts", "export", name, path));
        var hostile = Path.Combine(folder, "hostile.tar");
        await using (var source = File.OpenRead(path))
        await using (var target = File.Create(hostile))
        {
            using var reader = new TarReader(source);
            using var writer = new TarWriter(target, TarEntryFormat.Pax);
            await writer.WriteEntryAsync((await reader.GetNextEntryAsync(copyData: true, Cancel))!, Cancel);
            var entry = new PaxTarEntry(type, entryName);
            if (type == TarEntryType.RegularFile) entry.DataStream = new MemoryStream([1, 2, 3]);
            else entry.LinkName = "/etc/hostname";
            await writer.WriteEntryAsync(entry, Cancel);
        }
        var run = await RunAsync(servers.Taker, "artifacts", "import", hostile, "--trust");
        Assert.NotEqual(ExitCodes.Done, run.Code);
        Assert.Contains(entryName, run.Error, StringComparison.Ordinal);
        Assert.Equal(["hostile.tar", "out.tar"], Directory.EnumerateFileSystemEntries(folder).Select(Path.GetFileName).Order().Where(entry => entry != "source"));
    }

    /// <summary>The oracle of the fuzz: a changed tar is refused, or what is imported is the artifact itself.</summary>
    [Fact]
    public async Task Import_MutatedTars_NeverRegistersAnythingElse()
    {
        var name = await PushAsync("fuzzed");
        var path = Path.Combine(folder, "out.tar");
        AssertDone(await RunAsync(servers.Maker, "artifacts", "export", name, path));
        var original = await File.ReadAllBytesAsync(path, Cancel);
        var digest = (await servers.Maker.Client.Artifacts.GetAsync(name, Cancel)).Digest;
        var before = (await servers.Taker.Client.Artifacts.ListAsync(cancellationToken: Cancel)).Count;
        var random = new Random(20260303);
        var mutant = Path.Combine(folder, "mutant.tar");
        for (var i = 0; i < 300; i++)
        {
            var bytes = original.ToArray();
            for (var edits = random.Next(1, 5); edits > 0; edits--)
            {
                // Half of the edits go to the headers, where a parser can be led astray.
                var at = random.Next(2) == 0 ? (random.Next(bytes.Length / 512) * 512) + random.Next(160) : random.Next(bytes.Length);
                bytes[at] = (byte)random.Next(256);
            }
            await File.WriteAllBytesAsync(mutant, random.Next(10) == 0 ? bytes[..random.Next(bytes.Length)] : bytes, Cancel);
            try
            {
                Assert.Equal(digest, (await servers.Taker.Client.Packages.ImportAsync(mutant, trust: true, cancellationToken: Cancel)).Digest);
            }
            catch (Exception refused) when (refused is ModelOpsException or InvalidDataException or IOException)
            {
                Assert.DoesNotContain("unexpected error", refused.Message, StringComparison.Ordinal);
            }
            Assert.DoesNotContain(Directory.EnumerateDirectories(folder), entry => entry.EndsWith(".partial", StringComparison.Ordinal));
        }
        var after = await servers.Taker.Client.Artifacts.ListAsync(cancellationToken: Cancel);
        Assert.All(after.Where(artifact => artifact.Name == "fuzzed"), artifact => Assert.Equal(digest, artifact.Digest));
        Assert.InRange(after.Count - before, 0, 1);
    }

    [Fact]
    public async Task Export_CanceledOrTampered_LeavesNothingBehind()
    {
        var name = await PushAsync("half");
        using var stop = new CancellationTokenSource();
        var progress = new Stopper(stop);
        foreach (var output in new[] { "half", "half.tar" })
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() =>
                servers.Maker.Client.Packages.ExportAsync(name, Path.Combine(folder, output), progress, stop.Token));
        var artifact = await servers.Maker.Client.Artifacts.GetAsync(name, Cancel);
        var sha256 = artifact.Files.Single(file => file.Path == "config.json").Sha256;
        await StoredBytes.FlipAsync(servers.Maker.Home, sha256, Cancel);

        var run = await RunAsync(servers.Maker, "artifacts", "export", name, Path.Combine(folder, "out"));
        Assert.Equal(ExitCodes.VerificationFailed, run.Code);
        Assert.Contains("config.json was changed", run.Error, StringComparison.Ordinal);
        Assert.DoesNotContain(Directory.EnumerateFileSystemEntries(folder).Select(Path.GetFileName), entry => entry != "source");
    }

    [Fact]
    public async Task Revoke_Artifact_RefusesItsExportAndTellsWhy()
    {
        var name = await PushAsync("bad");
        AssertDone(await RunAsync(servers.Maker, "artifacts", "revoke", name, "--reason", "poisoned data"));
        var run = await RunAsync(servers.Maker, "artifacts", "export", name, Path.Combine(folder, "out"));
        Assert.Equal(ExitCodes.VerificationFailed, run.Code);
        Assert.Contains("poisoned data", run.Error, StringComparison.Ordinal);
        Assert.Equal(ExitCodes.VerificationFailed, (await RunAsync(servers.Maker, "artifacts", "verify", name, "--deep")).Code);
        Assert.Equal(ExitCodes.VerificationFailed, (await RunAsync(servers.Maker, "deploy", name, "--name", "bad")).Code);
        Assert.Equal(["export", "deploy"], await RefusedUsesAsync(servers.Maker, name));
    }

    [Fact]
    public async Task Signing_RotateAndRevoke_RefusesWhatTheOldKeySigned()
    {
        await using var server = await TestServer.StartAsync(TestServer.NewHome(), Cancel);
        var name = await PushAsync("signed", server);
        var old = (await server.Client.SigningKeys.ListAsync(Cancel)).Single();
        Assert.Equal(ExitCodes.Conflict, (await RunAsync(server, "signing", "revoke", old.KeyId, "--reason", "x")).Code);
        AssertDone(await RunAsync(server, "signing", "rotate"));
        AssertDone(await RunAsync(server, "artifacts", "verify", name));
        AssertDone(await RunAsync(server, "signing", "revoke", old.KeyId, "--reason", "laptop stolen"));
        var run = await RunAsync(server, "artifacts", "verify", name);
        Assert.Equal(ExitCodes.VerificationFailed, run.Code);
        Assert.Contains("laptop stolen", run.Error, StringComparison.Ordinal);
        Assert.Contains("revoked: laptop stolen", (await RunAsync(server, "signing", "list")).Out, StringComparison.Ordinal);
        Assert.Contains("BEGIN PUBLIC KEY", (await RunAsync(server, "signing", "show")).Out, StringComparison.Ordinal);
        Assert.Equal(ExitCodes.NotFound, (await RunAsync(server, "signing", "revoke", "0123456789abcdef", "--reason", "x")).Code);
        Directory.Delete(server.Home, recursive: true);
    }

    [Fact]
    public async Task GetBlob_Ranges_AnswerThosePartsAlone()
    {
        var name = await PushAsync("ranged");
        var file = (await servers.Maker.Client.Artifacts.GetAsync(name, Cancel)).Files.Single(file => file.Path == "weights.bin");
        using var handler = new SocketsHttpHandler();
        handler.SslOptions.CertificateChainPolicy = new X509ChainPolicy
        {
            TrustMode = X509ChainTrustMode.CustomRootTrust,
            CustomTrustStore = { X509CertificateLoader.LoadCertificateFromFile(servers.Maker.CaCertificate) },
            RevocationMode = X509RevocationMode.NoCheck,
        };
        using var http = new HttpClient(handler) { BaseAddress = servers.Maker.Client.Server };
        http.DefaultRequestHeaders.Authorization = new("Bearer", servers.Maker.ApiKey);
        var whole = await http.GetByteArrayAsync(new Uri($"api/v1/blobs/{file.Sha256}", UriKind.Relative), Cancel);
        Assert.Equal(file.Size, whole.Length);
        foreach (var (range, from, to) in new[] { ("bytes=0-0", 0, 0), ("bytes=100-199", 100, 199), ("bytes=70000-", 70_000, whole.Length - 1), ("bytes=-5", whole.Length - 5, whole.Length - 1) })
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, $"api/v1/blobs/{file.Sha256}");
            request.Headers.TryAddWithoutValidation("Range", range);
            using var response = await http.SendAsync(request, Cancel);
            Assert.Equal(HttpStatusCode.PartialContent, response.StatusCode);
            Assert.Equal($"bytes {from}-{to}/{whole.Length}", response.Content.Headers.ContentRange!.ToString());
            Assert.Equal(whole[from..(to + 1)], await response.Content.ReadAsByteArrayAsync(Cancel));
        }
        using var beyond = new HttpRequestMessage(HttpMethod.Get, $"api/v1/blobs/{file.Sha256}");
        beyond.Headers.TryAddWithoutValidation("Range", $"bytes={whole.Length}-");
        Assert.Equal(HttpStatusCode.RequestedRangeNotSatisfiable, (await http.SendAsync(beyond, Cancel)).StatusCode);
    }

    private static void SkipWithoutOpenSsl()
    {
        if ((Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator).Any(path => File.Exists(Path.Combine(path, "openssl")))) return;
        const string Reason = "OpenSSL is not installed: apt-get install openssl.";
        Assert.SkipUnless(Environment.GetEnvironmentVariable("CI") == "true", Reason);
        Assert.Fail(Reason);
    }

    private async Task<string> PushAsync(string name, TestServer? server = null)
    {
        server ??= servers.Maker;
        var source = Directory.CreateDirectory(Path.Combine(folder, "source")).FullName;
        await File.WriteAllTextAsync(Path.Combine(source, "config.json"), $$"""{"of":"{{name}}","at":"{{folder}}"}""", Cancel);
        var weights = new byte[100_000];
        new Random(name.GetHashCode(StringComparison.Ordinal)).NextBytes(weights);
        await File.WriteAllBytesAsync(Path.Combine(source, "weights.bin"), weights, Cancel);
        var artifact = await server.Client.Artifacts.PushAsync(name, "model", await LocalFiles.HashFolderAsync(source, Cancel), cancellationToken: Cancel);
        return $"{artifact.Name}@{artifact.Version}";
    }

    private static Task<CliRun> RunAsync(TestServer server, params string[] args) =>
        CliRun.Of([.. args, "--home", server.Home], cancellationToken: Cancel);

    private static void AssertDone(CliRun run) => Assert.True(run.Code == ExitCodes.Done, run.Error);

    private async Task AssertRefusedAsync(string path, string reason)
    {
        var run = await RunAsync(servers.Taker, "artifacts", "import", path, "--trust");
        Assert.Equal(ExitCodes.VerificationFailed, run.Code);
        Assert.Contains(reason, run.Error, StringComparison.Ordinal);
    }

    /// <summary>The audit log as another reader of the database sees it.</summary>
    private static async Task<IReadOnlyList<string>> RefusedUsesAsync(TestServer server, string artifact)
    {
        await using var database = await Backends.OpenDatabaseAsync(server.Home, Cancel);
        await using var command = database.CreateCommand();
        command.CommandText = "SELECT detail FROM audit WHERE action = 'artifact.refused' AND subject = @subject ORDER BY sequence";
        var subject = command.CreateParameter();
        (subject.ParameterName, subject.Value) = ("subject", artifact);
        command.Parameters.Add(subject);
        await using var rows = await command.ExecuteReaderAsync(Cancel);
        var uses = new List<string>();
        while (await rows.ReadAsync(Cancel)) uses.Add(JsonElement.Parse(rows.GetString(0)).GetProperty("use").GetString()!);
        return uses;
    }

    private static async Task<(int Code, string Output)> ShellAsync(string script, string workingFolder)
    {
        var start = new ProcessStartInfo("bash", ["-e", "-c", script]) { WorkingDirectory = workingFolder, UseShellExecute = false, RedirectStandardOutput = true, RedirectStandardError = true };
        using var process = Process.Start(start)!;
        var (output, error) = (process.StandardOutput.ReadToEndAsync(Cancel), process.StandardError.ReadToEndAsync(Cancel));
        await process.WaitForExitAsync(Cancel).WaitAsync(TimeSpan.FromSeconds(60), Cancel);
        return (process.ExitCode, await output + await error);
    }

    private sealed class Stopper(CancellationTokenSource stop) : IProgress<UploadProgress>
    {
        public void Report(UploadProgress value) => stop.Cancel();
    }
}
