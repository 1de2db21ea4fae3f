using System.Threading.Channels;
using ModelOps.Client;

namespace ModelOps.Tests.Client;

public sealed class HubClientTests : IAsyncLifetime
{
    private static readonly HubReference reference = new(HubPeer.Repository, "main");
    private static readonly string[] needed = ["LICENSE", "README.md", "config.json", "model.safetensors", "tokenizer.json"];

    private readonly string folder = Directory.CreateTempSubdirectory("modelops-hub-").FullName;
    private HubPeer peer = null!;

    public async ValueTask InitializeAsync() => peer = await HubPeer.StartAsync();

    public async ValueTask DisposeAsync()
    {
        await peer.DisposeAsync();
        Directory.Delete(folder, recursive: true);
    }

    [Fact(Timeout = 30_000)]
    public async Task Download_Model_GivesOnlyWhatIsNeededAndItsOrigin()
    {
        using var hub = Client();
        var snapshot = await hub.FindAsync(reference, TestContext.Current.CancellationToken);
        var progress = new Steps();
        await hub.DownloadAsync(snapshot, folder, progress, TestContext.Current.CancellationToken);

        Assert.Equal((HubPeer.Commit, "apache-2.0"), (snapshot.Commit, snapshot.License));
        AssertComplete();
        Assert.Equal(new UploadProgress("tokenizer.json", snapshot.Size, snapshot.Size), progress.Last);
    }

    [Fact(Timeout = 30_000)]
    public async Task Download_Redirected_GivesTheTokenToTheHubAlone()
    {
        using var hub = Client(options => options with { Token = "hf_secret" });
        await hub.DownloadAsync(await hub.FindAsync(reference, TestContext.Current.CancellationToken), folder, cancellationToken: TestContext.Current.CancellationToken);

        Assert.All(peer.HubRequests, request => Assert.Equal("Bearer hf_secret", request.Authorization));
        Assert.NotEmpty(peer.ContentRequests);
        Assert.All(peer.ContentRequests, request => Assert.Equal("", request.Authorization ?? ""));
    }

    [Fact(Timeout = 30_000)]
    public async Task Download_ConnectionsThatDrop_GoesOnWhereItWas()
    {
        var progress = DropAfter(40_000);
        using var hub = Client();
        await hub.DownloadAsync(await hub.FindAsync(reference, TestContext.Current.CancellationToken), folder, progress, TestContext.Current.CancellationToken);

        AssertComplete();
        var ranges = peer.ContentRequests.Where(request => request.Path == "/model.safetensors").Select(request => request.Range ?? "").ToList();
        Assert.Equal("", ranges[0]);
        Assert.Equal("bytes=40000-", ranges[1]);
        Assert.Equal(8, ranges.Count); // 300,000 bytes in pieces of 40,000
    }

    [Fact(Timeout = 30_000)]
    public async Task Download_GivenUpAndStartedAgain_LoadsOnlyTheRest()
    {
        var progress = DropAfter(40_000);
        using (var impatient = Client(options => options with { Attempts = 1 }))
        {
            var error = await Assert.ThrowsAsync<ModelOpsException>(
                async () => await impatient.DownloadAsync(await impatient.FindAsync(reference, TestContext.Current.CancellationToken), folder, progress, TestContext.Current.CancellationToken));
            Assert.Equal(ProblemTypes.Unavailable, error.Problem.Type);
            Assert.Contains("goes on from there", error.Message, StringComparison.Ordinal);
        }
        Assert.False(File.Exists(Path.Combine(folder, "model.safetensors")));
        peer.DropsAfter = null;
        using var hub = Client();
        await hub.DownloadAsync(await hub.FindAsync(reference, TestContext.Current.CancellationToken), folder, cancellationToken: TestContext.Current.CancellationToken);

        AssertComplete();
        Assert.Equal(["", "bytes=40000-"], peer.ContentRequests.Where(request => request.Path == "/model.safetensors").Select(request => request.Range ?? ""));
        Assert.Single(peer.HubRequests, request => request.Path.EndsWith("/config.json", StringComparison.Ordinal));
    }

    [Fact(Timeout = 30_000)]
    public async Task Download_ServerWithoutRanges_StartsOver()
    {
        await File.WriteAllBytesAsync(Path.Combine(folder, "model.safetensors.partial"), peer.Files["model.safetensors"][..1000], TestContext.Current.CancellationToken);
        peer.IgnoresRanges = true;
        using var hub = Client();
        await hub.DownloadAsync(await hub.FindAsync(reference, TestContext.Current.CancellationToken), folder, cancellationToken: TestContext.Current.CancellationToken);

        AssertComplete();
    }

    [Theory(Timeout = 30_000)]
    [InlineData(100)] // wrong bytes at the beginning of what is gone on with
    [InlineData(400_000)] // more than there is
    public async Task Download_ForeignPartialFile_IsFoundOut(int length)
    {
        await File.WriteAllBytesAsync(Path.Combine(folder, "model.safetensors.partial"), new byte[length], TestContext.Current.CancellationToken);
        using var hub = Client();
        var snapshot = await hub.FindAsync(reference, TestContext.Current.CancellationToken);
        var first = await Record.ExceptionAsync(() => hub.DownloadAsync(snapshot, folder, cancellationToken: TestContext.Current.CancellationToken));
        if (first is not null)
        {
            Assert.Equal(ProblemTypes.VerificationFailed, Assert.IsType<ModelOpsException>(first).Problem.Type);
            await hub.DownloadAsync(snapshot, folder, cancellationToken: TestContext.Current.CancellationToken);
        }

        AssertComplete();
    }

    [Fact(Timeout = 30_000)]
    public async Task Download_WrongBytes_NamesTheFileAndKeepsNothingOfIt()
    {
        peer.SendsWrongBytes = true;
        using var hub = Client();
        var snapshot = await hub.FindAsync(reference, TestContext.Current.CancellationToken);
        var error = await Assert.ThrowsAsync<ModelOpsException>(() => hub.DownloadAsync(snapshot, folder, cancellationToken: TestContext.Current.CancellationToken));

        Assert.Equal(ProblemTypes.VerificationFailed, error.Problem.Type);
        Assert.StartsWith("model.safetensors: the hub announced the SHA-256 ", error.Message, StringComparison.Ordinal);
        Assert.Equal(["LICENSE", "README.md", "config.json"], Names());
    }

    [Fact(Timeout = 30_000)]
    public async Task Download_FileChangedSince_IsLoadedAgain()
    {
        using var hub = Client();
        var snapshot = await hub.FindAsync(reference, TestContext.Current.CancellationToken);
        await hub.DownloadAsync(snapshot, folder, cancellationToken: TestContext.Current.CancellationToken);
        await File.WriteAllTextAsync(Path.Combine(folder, "config.json"), "[]", TestContext.Current.CancellationToken);
        await hub.DownloadAsync(snapshot, folder, cancellationToken: TestContext.Current.CancellationToken);

        AssertComplete();
        Assert.Single(peer.ContentRequests, request => request.Path == "/model.safetensors");
    }

    [Theory(Timeout = 30_000)]
    [InlineData(401, "GatedRepo", null, ProblemTypes.Forbidden, "accept its terms")]
    [InlineData(403, "GatedRepo", "hf_t", ProblemTypes.Forbidden, "may not read it")]
    [InlineData(401, "RepoNotFound", null, ProblemTypes.NotFound, "set HF_TOKEN")]
    [InlineData(401, null, "hf_t", ProblemTypes.Unauthorized, "may not read it")]
    [InlineData(404, "RepoNotFound", null, ProblemTypes.NotFound, "check the name")]
    [InlineData(404, null, null, ProblemTypes.NotFound, "does not exist")]
    [InlineData(503, null, null, ProblemTypes.Unavailable, "in 5 tries (the hub answers 503)")]
    [InlineData(429, null, null, ProblemTypes.Unavailable, "in 5 tries")]
    public async Task Find_Refused_SaysWhyAndWhatToDo(int status, string? code, string? token, string type, string part)
    {
        peer.Refusal = (status, code);
        using var hub = Client(options => options with { Token = token });
        var error = await Assert.ThrowsAsync<ModelOpsException>(() => hub.FindAsync(reference, TestContext.Current.CancellationToken));

        Assert.Equal(type, error.Problem.Type);
        Assert.Contains(part, error.Message, StringComparison.Ordinal);
        Assert.Contains("hf:org/Tiny-1.5@main", error.Message, StringComparison.Ordinal);
    }

    [Fact(Timeout = 30_000)]
    public async Task Find_RevisionThatIsNone_SaysSo()
    {
        using var hub = Client();
        var error = await Assert.ThrowsAsync<ModelOpsException>(() => hub.FindAsync(reference with { Revision = "v9" }, TestContext.Current.CancellationToken));

        Assert.Equal((ProblemTypes.NotFound, "hf:org/Tiny-1.5@v9: the model has no such branch, tag or commit."), (error.Problem.Type, error.Message));
    }

    [Fact(Timeout = 30_000)]
    public async Task Find_OnlyPickledWeights_IsRefused()
    {
        peer.Files.Remove("model.safetensors");
        using var hub = Client();
        var error = await Assert.ThrowsAsync<ModelOpsException>(() => hub.FindAsync(reference, TestContext.Current.CancellationToken));

        Assert.Equal(ProblemTypes.Invalid, error.Problem.Type);
        Assert.Contains("only pickled weights", error.Message, StringComparison.Ordinal);
    }

    [Fact(Timeout = 30_000)]
    public async Task Find_ShardedWeights_TakesShardsAndIndexAndNoSecondCopy()
    {
        peer.Files.Remove("model.safetensors");
        foreach (var name in (string[])["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "model.safetensors.index.json", "consolidated.safetensors"])
            peer.Files[name] = [1, 2, 3];
        using var hub = Client();
        var snapshot = await hub.FindAsync(reference with { Revision = "v1" }, TestContext.Current.CancellationToken);

        Assert.Equal(
            ["LICENSE", "README.md", "config.json", "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "model.safetensors.index.json", "tokenizer.json"],
            snapshot.Files.Select(file => file.Path));
    }

    [Theory]
    [InlineData("hf:org/name", "org/name", "main")]
    [InlineData("hf:Qwen/Qwen2.5-0.5B@refs/pr/3", "Qwen/Qwen2.5-0.5B", "refs/pr/3")]
    public void ParseReference_Model_GivesItsParts(string text, string repository, string revision) =>
        Assert.Equal(new HubReference(repository, revision), HubReference.Parse(text));

    [Theory]
    [InlineData("org/name")]
    [InlineData("hf:name")]
    [InlineData("hf:org/name/more")]
    [InlineData("hf:../..")]
    [InlineData("hf:org/name@")]
    [InlineData("hf:org/na me")]
    public void ParseReference_SomethingElse_IsRefused(string text) =>
        Assert.Equal(ProblemTypes.Invalid, Assert.Throws<ModelOpsException>(() => HubReference.Parse(text)).Problem.Type);

    [Fact]
    public void FromEnvironment_Endpoint_IsTakenOrRefused()
    {
        Assert.Equal(new Uri("https://hub.example.org/x"), HubOptions.FromEnvironment(name => name == "HF_ENDPOINT" ? "https://hub.example.org/x" : null).Endpoint);
        Assert.Throws<ModelOpsException>(() => HubOptions.FromEnvironment(name => name == "HF_ENDPOINT" ? "ftp://hub" : null));
    }

    private HubClient Client(Func<HubOptions, HubOptions>? change = null)
    {
        var options = new HubOptions { Endpoint = peer.Address, Delay = TimeSpan.FromMilliseconds(1) };
        return new HubClient(change?.Invoke(options) ?? options);
    }

    private IEnumerable<string> Names() => Directory.GetFiles(folder).Select(path => Path.GetFileName(path)).Order(StringComparer.Ordinal);

    private void AssertComplete()
    {
        Assert.Equal(needed, Names());
        Assert.All(needed, name => Assert.Equal(peer.Files[name], File.ReadAllBytes(Path.Combine(folder, name))));
    }

    /// <summary>The hub cuts every connection once so much of it has arrived.</summary>
    private Steps DropAfter(int bytes)
    {
        var progress = new Steps();
        peer.DropsAfter = bytes;
        peer.Received = sent => progress.ReachedAsync(needed.TakeWhile(name => name != "model.safetensors").Sum(name => peer.Files[name].Length) + sent);
        return progress;
    }

    private sealed class Steps : IProgress<UploadProgress>
    {
        private readonly Channel<UploadProgress> steps = Channel.CreateUnbounded<UploadProgress>();

        public UploadProgress? Last { get; private set; }

        public void Report(UploadProgress value)
        {
            Last = value;
            steps.Writer.TryWrite(value);
        }

        public async Task ReachedAsync(long bytes)
        {
            while ((await steps.Reader.ReadAsync().AsTask().WaitAsync(TimeSpan.FromSeconds(10))).Bytes < bytes)
            {
                // On its way.
            }
        }
    }
}
