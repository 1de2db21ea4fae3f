using System.Collections.Concurrent;
using System.Text.Json;
using Microsoft.Playwright;
using ModelOps.Client;
using ModelOps.Tests.EndToEnd;
using ModelOps.Tests.Repository;

namespace ModelOps.Tests.Studio;

/// <summary>One server with a model, a dataset, a finished training, a deployment and a viewer; one Chromium; everybody signed in once.</summary>
public sealed class StudioFixture : IAsyncLifetime
{
    public const string Password = "correct horse battery";
    private const string Chromium = "/usr/bin/chromium";
    private const string Missing = "tests of the web UI need Chromium: ./test --install";
    private static readonly string[] flags =
    [
        "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    ];
    private readonly ConcurrentDictionary<string, Lazy<Task<string>>> signedIn = new(StringComparer.Ordinal);
    private readonly string home = TestServer.NewHome();
    private TestServer? server;
    private TestClock? clock;
    private IPlaywright? playwright;
    private IBrowser? browser;

    internal TestServer Server => server!;

    public ModelOpsClient Client => server!.Client;

    /// <summary>The server's; null: there is no compiler for it.</summary>
    internal TestClock? Clock => clock;

    /// <summary>A training that has ended.</summary>
    public Job Trained { get; private set; } = null!;

    /// <summary>Another one of the same base, with a smaller update.</summary>
    public Job Other { get; private set; } = null!;

    /// <summary>A quantization of the base to Q8_0 and BF16 that has ended.</summary>
    public Job Quantized { get; private set; } = null!;

    public string Address => server!.Client.Server.AbsoluteUri.TrimEnd('/');

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        if (!File.Exists(Chromium))
        {
            if (Environment.GetEnvironmentVariable("CI") != "true") Assert.Skip(Missing);
            throw new InvalidOperationException(Missing);
        }
        clock = await TestClock.CreateAsync(home, Cancel);
        server = await StartAsync();
        Assertions.SetDefaultExpectTimeout(30_000); // as patient as the other tests
        playwright = await Playwright.CreateAsync();
        browser = await playwright.Chromium.LaunchAsync(new() { ExecutablePath = Chromium, Headless = true, Args = flags });
        foreach (var (name, role) in new[] { ("engineer", "engineer"), ("viewer", "viewer"), ("approver", "approver"), ("boss", "admin") })
            await Client.Users.CreateAsync(new CreateUser { Name = name, Role = role, Password = Password }, Cancel);
        var files = await LocalFiles.HashFolderAsync(Path.Combine(RepositoryRoot.Path, "samples/models/wordsmith"), Cancel);
        await Client.Artifacts.PushAsync("base", "model", files, progress: null, Cancel);
        var rows = Path.Combine(RepositoryRoot.Path, "samples/datasets/wordsmith-qa.jsonl");
        await EndAsync(await Client.Datasets.CreateVersionAsync("rows", rows, new IngestionOptions { MaxBad = "0" }, progress: null, Cancel));
        Trained = await EndAsync(await StartTrainingAsync("tuned", steps: 12));
        Other = await EndAsync(await StartTrainingAsync("other", steps: 4, rank: 4));
        await EndAsync(await Client.Jobs.StartQuantizationAsync(new CreateQuantization { Artifact = "tuned", Name = "tuned-q8" }, Cancel));
        Quantized = await EndAsync(await Client.Jobs.StartQuantizationAsync(new CreateQuantization { Artifact = "base", Name = "sized", Types = ["Q8_0", "BF16"] }, Cancel));
        await Client.Deployments.CreateAsync(new CreateDeployment { Name = "words", Artifact = "tuned-q8", ContextSize = 512 }, Cancel);
    }

    public async ValueTask DisposeAsync()
    {
        if (browser is not null) await browser.DisposeAsync();
        playwright?.Dispose();
        if (server is not null) await server.DisposeAsync();
        Directory.Delete(home, recursive: true);
    }

    public Task<Job> StartTrainingAsync(string name, int steps, int rank = 8, int samples = 0) => Client.Jobs.StartTrainingAsync(
        new CreateTraining
        {
            Base = "base",
            Dataset = "rows",
            Name = name,
            MaxSteps = steps,
            BatchSize = 1,
            Seed = 7,
            Recipe = JsonElement.Parse($$"""{"rank": {{rank}}, "samples": {{samples}}, "validate_every": 20}"""),
        },
        Cancel);

    public async Task<Job> EndAsync(Job job)
    {
        await Client.Jobs.WatchAsync(job.Id, cancellationToken: Cancel).LastAsync(Cancel);
        var ended = await Client.Jobs.GetAsync(job.Id, Cancel);
        Assert.True(ended.State == JobState.Succeeded, $"{ended.Kind}: {ended.State} {ended.Error}");
        return ended;
    }

    /// <summary>A page of its own browser profile, signed in as that user; null: as nobody.</summary>
    public async Task<StudioView> OpenAsync(string? user, string theme = "light", int width = 1280, int height = 800)
    {
        var state = user is null ? null : await signedIn.GetOrAdd(user, name => new(() => SignInAsync(name))).Value;
        var context = await NewContextAsync(state, theme, width, height);
        return new StudioView(context, await context.NewPageAsync(), Address);
    }

    /// <summary>Stops the server and starts another on the same home and port.</summary>
    public async Task RestartAsync(Func<Task> between)
    {
        var port = server!.Client.Server.Port;
        await server.DisposeAsync();
        await between();
        server = await StartAsync($"listen:port={port}");
        signedIn.Clear(); // it knows the newest tokens no longer, and these may be older
        await Eventually.HoldsAsync(async () => (await Client.GetReadinessAsync(Cancel)).Status == "ready", Cancel);
    }

    private Task<TestServer> StartAsync(params string[] settings) =>
        TestServer.StartAsync(home, clock?.Environment ?? new Dictionary<string, string>(StringComparer.Ordinal), Cancel, settings);

    private Task<IBrowserContext> NewContextAsync(string? state, string theme, int width, int height) => browser!.NewContextAsync(new()
    {
        IgnoreHTTPSErrors = true,
        StorageState = state,
        ViewportSize = new() { Width = width, Height = height },
        ColorScheme = theme == "dark" ? ColorScheme.Dark : ColorScheme.Light,
        ReducedMotion = ReducedMotion.Reduce,
    });

    private async Task<string> SignInAsync(string user)
    {
        await using var view = new StudioView(await NewContextAsync(state: null, "light", 1280, 800), page: null, Address);
        var page = await view.Context.NewPageAsync();
        await page.GotoAsync($"{Address}/sign-in");
        await page.GetByLabel("User").FillAsync(user);
        await page.GetByLabel("Password").FillAsync(Password);
        await page.GetByRole(AriaRole.Button, new() { Name = "Sign in" }).ClickAsync();
        await page.WaitForURLAsync($"{Address}/");
        await view.Context.ClearCookiesAsync(new() { Name = "modelops-theme" });
        return await view.Context.StorageStateAsync();
    }
}

/// <summary>A page, and what it must not do: ask another host, or complain.</summary>
public sealed class StudioView : IAsyncDisposable
{
    private readonly ConcurrentQueue<string> complaints = new();

    public StudioView(IBrowserContext context, IPage? page, string address)
    {
        (Context, Page) = (context, page!);
        context.SetDefaultTimeout(20_000);
        context.Request += (_, request) =>
        {
            if (!request.Url.StartsWith(address, StringComparison.Ordinal) && !request.Url.StartsWith("data:", StringComparison.Ordinal)
                && !request.Url.StartsWith("blob:", StringComparison.Ordinal)) complaints.Enqueue($"asked {request.Url}");
        };
        context.Console += (_, message) =>
        {
            if (message.Type == "error" && !message.Text.Contains("Failed to load resource", StringComparison.Ordinal)) complaints.Enqueue(message.Text);
        };
        context.WebError += (_, error) => complaints.Enqueue(error.Error);
        Address = address;
    }

    public IBrowserContext Context { get; }

    public IPage Page { get; }

    public IReadOnlyCollection<string> Complaints => complaints;

    private string Address { get; }

    /// <summary>Goes to a page and waits until it is alive and has its heading.</summary>
    public async Task GoAsync(string path)
    {
        await Page.GotoAsync($"{Address}/{path}");
        await Page.Locator("#content h1").WaitForAsync();
    }

    public ILocator Button(string name) => Page.GetByRole(AriaRole.Button, new() { Name = name, Exact = true });

    public ValueTask DisposeAsync() => Context.DisposeAsync();
}
