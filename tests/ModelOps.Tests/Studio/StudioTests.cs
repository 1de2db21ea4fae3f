using System.Net;
using System.Text.Json;
using System.Text.RegularExpressions;
using Microsoft.Playwright;
using ModelOps.Client;
using ModelOps.Tests.EndToEnd;
using ModelOps.Tests.Repository;
using ModelOps.Tests.Serving;
using static Microsoft.Playwright.Assertions;

namespace ModelOps.Tests.Studio;

/// <summary>The web UI in a real Chromium: each page's main act, as people with different roles.</summary>
[EmbeddedOnly("the pages call the API, whose own tests are run on both")]
public sealed partial class StudioTests(StudioFixture fixture) : IClassFixture<StudioFixture>
{
    private const string ScreenshotVariable = "MODELOPS_WRITE_SCREENSHOTS";
    private static readonly LocatorAssertionsToBeVisibleOptions soon = new() { Timeout = 30_000 };

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task SignIn_WrongThenRightThenOut_KeepsTheTokensFromScripts()
    {
        await using var view = await fixture.OpenAsync(user: null);
        var page = view.Page;
        await page.GotoAsync($"{fixture.Address}/jobs/none?x=1");
        Assert.Equal("/sign-in", new Uri(page.Url).AbsolutePath);
        await page.GetByLabel("User").FillAsync("engineer");
        await page.GetByLabel("Password").FillAsync("wrong");
        await page.GetByRole(AriaRole.Button, new() { Name = "Sign in" }).ClickAsync();
        await Expect(page.GetByRole(AriaRole.Alert)).ToContainTextAsync("the password is wrong");
        await Expect(page.GetByLabel("User")).ToHaveValueAsync("engineer");

        await page.GetByLabel("Password").FillAsync(StudioFixture.Password);
        await page.GetByRole(AriaRole.Button, new() { Name = "Sign in" }).ClickAsync();
        await page.WaitForURLAsync("**/jobs/none?x=1"); // where they wanted to go
        await Expect(page.GetByRole(AriaRole.Alert)).ToContainTextAsync("no job none");
        var cookie = Assert.Single(await view.Context.CookiesAsync(), cookie => cookie.Name == "__Host-modelops-studio");
        Assert.True(cookie is { HttpOnly: true, Secure: true, SameSite: SameSiteAttribute.Lax });
        Assert.DoesNotContain("eyJ", await page.EvaluateAsync<string>("document.cookie + JSON.stringify(localStorage) + JSON.stringify(sessionStorage)"), StringComparison.Ordinal);
        Assert.DoesNotContain("eyJ", cookie.Value, StringComparison.Ordinal);

        await page.GetByRole(AriaRole.Button, new() { Name = "Account of engineer" }).ClickAsync();
        await view.Button("Sign out").ClickAsync();
        await page.WaitForURLAsync("**/sign-in");
        await page.GotoAsync($"{fixture.Address}/datasets");
        Assert.Equal("/sign-in", new Uri(page.Url).AbsolutePath);
        Assert.Empty(view.Complaints);
    }

    [Fact]
    public async Task SignIn_ApiKeyAndItsAudit_NameTheBrowser()
    {
        var key = await fixture.Client.Keys.CreateAsync(new CreateApiKey { Name = "studio", User = "viewer" }, Cancel);
        await using var view = await fixture.OpenAsync(user: null);
        await view.Page.GotoAsync($"{fixture.Address}/sign-in?next=//elsewhere.example");
        await view.Page.GetByText("Or use an API key").ClickAsync();
        await view.Page.GetByLabel("API key").FillAsync(key.Secret);
        await view.Page.GetByRole(AriaRole.Button, new() { Name = "Sign in" }).ClickAsync();
        await view.Page.WaitForURLAsync($"{fixture.Address}/");
        await view.Page.GetByRole(AriaRole.Button, new() { Name = "Account of viewer" }).ClickAsync();
        await Expect(view.Page.GetByText("viewer, by API key")).ToBeVisibleAsync();
    }

    [Fact]
    public async Task Requests_OfOtherSitesAndWithoutOurHeader_AreRefused()
    {
        using var http = ServingFixture.Connect(fixture.Server, withKey: false);
        Assert.Equal(HttpStatusCode.Forbidden, await StatusAsync("/_blazor/negotiate?negotiateVersion=1", "https://localhost:1"));
        Assert.Equal(HttpStatusCode.OK, await StatusAsync("/_blazor/negotiate?negotiateVersion=1", origin: null));
        Assert.Equal(HttpStatusCode.BadRequest, await StatusAsync("/studio/session", origin: null));
        Assert.Equal(HttpStatusCode.BadRequest, await StatusAsync("/studio/files?name=x", origin: null));
        using var page = await http.GetAsync(new Uri("/sign-in", UriKind.Relative), Cancel);
        var policy = Assert.Single(page.Headers.GetValues("Content-Security-Policy"));
        Assert.Contains("script-src 'self';", policy, StringComparison.Ordinal);

        async Task<HttpStatusCode> StatusAsync(string path, string? origin)
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, path) { Version = HttpVersion.Version20 };
            if (origin is not null) request.Headers.Add("Origin", origin);
            using var response = await http.SendAsync(request, Cancel);
            return response.StatusCode;
        }
    }

    [Fact]
    public async Task Job_WhileItTrains_ChartsGrowAndItPausesResumesAndEnds()
    {
        var job = await fixture.StartTrainingAsync("watched", steps: 40, samples: 2);
        await using var view = await fixture.OpenAsync("engineer");
        await view.GoAsync($"jobs/{job.Id}");
        await Expect(view.Page.Locator("h1")).ToHaveTextAsync("watched");
        var chart = view.Page.GetByRole(AriaRole.Region, new() { Name = "Loss", Exact = true }).Locator(".chart");
        await Expect(chart).ToHaveAttributeAsync("data-points", new Regex("^[1-9]", RegexOptions.None, TimeSpan.FromSeconds(1)), new() { Timeout = 30_000 });

        var samples = view.Page.GetByRole(AriaRole.Region, new() { Name = "Samples" });
        await Expect(samples).ToContainTextAsync("Before training", new() { Timeout = 30_000 });
        await view.Button("Pause").ClickAsync();
        await Expect(view.Button("Resume")).ToBeVisibleAsync(soon);
        await Eventually.HoldsAsync(async () => (await fixture.Client.Jobs.GetAsync(job.Id, Cancel)).State == JobState.Paused, Cancel);
        await view.Button("Resume").ClickAsync();
        await Expect(view.Page.GetByRole(AriaRole.Region, new() { Name = "Result" })).ToContainTextAsync("nats per token", new() { Timeout = 60_000 });

        var drawn = int.Parse(await chart.GetAttributeAsync("data-points") ?? "0");
        var stored = await fixture.Client.Jobs.GetMetricsAsync(job.Id, ["loss"], cancellationToken: Cancel);
        await Expect(samples.GetByRole(AriaRole.Heading, new() { Level = 3 })).ToHaveTextAsync(["After step 40", "After step 20"]);
        await samples.GetByRole(AriaRole.Button, new() { Name = "Earlier ones" }).ClickAsync();
        var told = await fixture.Client.Jobs.GetSamplesAsync(job.Id, cancellationToken: Cancel);
        await Expect(samples.Locator("dt")).ToHaveTextAsync(told.Select(sample => sample.Prompt));
        await Expect(samples.Locator("dd")).ToHaveTextAsync(told.Select(sample => sample.Text + (sample.Complete ? "" : "…")));
        Assert.Equal((0, 2), (told[^1].Step, told[^1].Number));
        Assert.InRange(drawn, stored[0].Points.Count, stored[0].Points.Count + 2); // a measured step before the first may be one more
        Assert.Empty(view.Complaints);
    }

    [Fact]
    public async Task Artifact_VerifyAndPromote_ShowsEveryCheckAndEveryGate()
    {
        await using var view = await fixture.OpenAsync("engineer");
        await view.GoAsync("artifacts");
        await view.Page.GetByRole(AriaRole.Link, new() { Name = "tuned@1" }).ClickAsync();
        await view.Button("Verify").ClickAsync();
        await Expect(view.Page.GetByRole(AriaRole.Region, new() { Name = "Verification" })).ToContainTextAsync("verified");
        var lineage = view.Page.GetByRole(AriaRole.Region, new() { Name = "Lineage", Exact = true });
        await Expect(lineage.GetByRole(AriaRole.Link, new() { Name = "rows@1" })).ToBeVisibleAsync();
        await view.Button("Promote to STAGING").ClickAsync();
        await view.Button("Promote to PRODUCTION").ClickAsync();
        await Expect(view.Page.Locator(".problem")).ToContainTextAsync("Gates not met");
        await lineage.GetByRole(AriaRole.Link, new() { Name = "base@1" }).ClickAsync();
        await Expect(view.Page.Locator("h1")).ToHaveTextAsync("base@1");
        Assert.Empty(view.Complaints);
    }

    [Fact]
    public async Task Approver_Rejects_AndAnAdministratorFindsItInTheLog()
    {
        await using var approver = await fixture.OpenAsync("approver");
        await approver.GoAsync("artifacts/base@1");
        await approver.Page.GetByLabel("Comment on the verdict").FillAsync("not yet");
        await approver.Button("Reject").ClickAsync();
        await Expect(approver.Page.GetByText("rejected for STAGING by approver")).ToBeVisibleAsync();
        await Expect(approver.Page.Locator("nav").GetByText("API keys")).ToBeVisibleAsync();

        await using var boss = await fixture.OpenAsync("boss");
        await boss.GoAsync("people");
        await boss.Page.GetByLabel("New user").FillAsync("newcomer");
        await boss.Page.GetByLabel("Password").FillAsync("short");
        await boss.Button("Add").ClickAsync();
        await Expect(boss.Page.GetByRole(AriaRole.Alert)).ToContainTextAsync("Use at least 12");
        await boss.Page.GetByLabel("Password").FillAsync("long enough for all");
        await boss.Button("Add").ClickAsync();
        var row = boss.Page.GetByRole(AriaRole.Row).Filter(new() { HasText = "newcomer" });
        await row.GetByRole(AriaRole.Button, new() { Name = "Disable" }).ClickAsync();
        await Expect(row).ToContainTextAsync("disabled");
        await boss.Page.GetByLabel("New key for").FillAsync("a program");
        await boss.Button("Make a key").ClickAsync();
        await Expect(boss.Page.GetByRole(AriaRole.Region, new() { Name = "API keys" }).Locator("code")).ToContainTextAsync("mo_");

        await boss.GoAsync("audit");
        await boss.Page.GetByLabel("Who").FillAsync("approver");
        await Expect(boss.Page.GetByRole(AriaRole.Row).Filter(new() { HasText = "base@1" }).First).ToBeVisibleAsync();
        await Expect(boss.Page.GetByRole(AriaRole.Row).Filter(new() { HasText = "user.created" })).ToHaveCountAsync(0); // the search is done
        await boss.Button("Verify the chain").ClickAsync();
        await Expect(boss.Page.GetByText("No row was changed or taken away.")).ToBeVisibleAsync();
        Assert.Empty(approver.Complaints.Concat(boss.Complaints));
    }

    [Fact]
    public async Task Viewer_SeesAllAndIsOfferedNothingThatTheyMayNot()
    {
        await using var view = await fixture.OpenAsync("viewer");
        await view.GoAsync($"jobs/{fixture.Trained.Id}");
        await Expect(view.Page.GetByRole(AriaRole.Region, new() { Name = "Result" })).ToBeVisibleAsync();
        await view.GoAsync("datasets/rows");
        await Expect(view.Page.GetByRole(AriaRole.Region, new() { Name = "Rows" })).ToBeVisibleAsync();
        await Expect(view.Page.GetByText("New version")).ToHaveCountAsync(0);
        await view.GoAsync("artifacts/base@1");
        await Expect(view.Button("Verify")).ToBeVisibleAsync();
        await Expect(view.Button("Archive")).ToHaveCountAsync(0);
        await Expect(view.Button("Promote to STAGING")).ToHaveCountAsync(0);
        Assert.Equal(403, await view.Page.EvaluateAsync<int>("fetch('studio/files?name=x', { method: 'POST', headers: { 'X-Studio': '1' }, body: '{}' }).then(answer => answer.status)"));
    }

    [Theory]
    [InlineData("dark", 1280)]
    [InlineData("light", 400)]
    public async Task EveryPage_ByAxe_HasNoSeriousFindingAndFitsTheWidth(string theme, int width)
    {
        const int Wide = 1920;
        var findings = new List<string>();
        await using var stranger = await fixture.OpenAsync(user: null, theme, width);
        await stranger.Page.GotoAsync($"{fixture.Address}/sign-in");
        await LookAsync(stranger, "sign-in");
        await using var view = await fixture.OpenAsync("boss", theme, width);
        foreach (var (name, path, sign) in Pages())
        {
            await view.GoAsync(path);
            await view.Page.Locator(sign).First.WaitForAsync();
            await LookAsync(view, name);
        }
        Assert.Empty(findings);
        Assert.Empty(view.Complaints);

        async Task LookAsync(StudioView shown, string name)
        {
            findings.AddRange((await AxeAsync(shown.Page)).Select(finding => $"{name}: {finding}"));
            foreach (var across in theme == "light" ? new[] { width, Wide } : [width])
            {
                if (across != width) await shown.Page.SetViewportSizeAsync(across, 1080);
                if (await shown.Page.EvaluateAsync<bool>("document.documentElement.scrollWidth > innerWidth")) findings.Add($"{name}: wider than {across}");
                await PictureAsync(shown.Page, $"{name}-{theme}-{across}", whole: false);
            }
            if (theme == "light") await shown.Page.SetViewportSizeAsync(width, 800);
        }
    }

    [Fact]
    public async Task Server_RestartedInTheMiddle_PageComesBackWithWhatWasTyped()
    {
        await using var view = await fixture.OpenAsync("engineer");
        await view.GoAsync("datasets/rows");
        await view.Page.GetByRole(AriaRole.Tab, new() { Name = "Versions" }).ClickAsync();
        await view.GoAsync("datasets-new");
        await view.Page.GetByLabel("Name of the dataset").FillAsync("half-typ");
        await fixture.RestartAsync(async () => await Expect(view.Page.GetByRole(AriaRole.Dialog)).ToContainTextAsync("The connection was lost"));
        await Expect(view.Page.GetByRole(AriaRole.Dialog)).ToHaveCountAsync(0, new() { Timeout = 30_000 });
        await Expect(view.Page.GetByLabel("Name of the dataset")).ToHaveValueAsync("half-typ", new() { Timeout = 30_000 });
        await view.Page.GetByRole(AriaRole.Link, new() { Name = "Jobs" }).ClickAsync();
        await Expect(view.Page.GetByRole(AriaRole.Link, new() { Name = "tuned@1" })).ToBeVisibleAsync(); // still signed in
    }

    [Fact]
    public async Task Page_OpenForLongerThanItsToken_GoesOnAndGivesTheBrowserTheNewOne()
    {
        var clock = fixture.Clock;
        if (clock is null) Assert.Skip(TestClock.Missing);
        await using var view = await fixture.OpenAsync("engineer");
        await view.GoAsync("datasets");
        var before = await CookieAsync();
        await clock.SetAsync(TimeSpan.FromMinutes(20), Cancel); // a token lives for 15
        await view.Page.GetByRole(AriaRole.Link, new() { Name = "Jobs" }).ClickAsync();
        await Expect(view.Page.GetByRole(AriaRole.Link, new() { Name = "tuned@1" })).ToBeVisibleAsync();
        await Eventually.HoldsAsync(async () => await CookieAsync() != before, Cancel);
        Assert.Empty(view.Complaints);

        async Task<string> CookieAsync() => (await view.Context.CookiesAsync()).Single(cookie => cookie.Name == "__Host-modelops-studio").Value;
    }

    /// <returns>The serious findings.</returns>
    private static async Task<IReadOnlyList<string>> AxeAsync(IPage page)
    {
        var oracles = Path.Combine(RepositoryRoot.Path, "tests/oracles");
        await NodePackages.RestoreAsync(oracles, "axe-core", Cancel);
        var axe = await File.ReadAllTextAsync(Path.Combine(oracles, "node_modules/axe-core/axe.min.js"), Cancel);
        var report = await page.EvaluateAsync<JsonElement>($$"""async () => { {{axe}}; return await axe.run(document, { resultTypes: ['violations'] }); }""");
        return
        [
            .. report.GetProperty("violations").EnumerateArray().Where(found => found.GetProperty("impact").GetString() is "serious" or "critical")
                .Select(found => $"{found.GetProperty("id")} at {found.GetProperty("nodes")[0].GetProperty("target")} {found.GetProperty("nodes")[0].GetProperty("failureSummary")}"),
        ];
    }

    /// <summary>For people, where they ask for them.</summary>
    private static async Task PictureAsync(IPage page, string name, bool whole = true)
    {
        if (Environment.GetEnvironmentVariable(ScreenshotVariable) is { Length: > 0 } folder)
            await page.ScreenshotAsync(new() { Path = Path.Combine(folder, $"{name}.png"), FullPage = whole });
    }

    private IEnumerable<(string Name, string Path, string Sign)> Pages() =>
    [
        ("home", "", ".tile"),
        ("jobs", "jobs", "table"),
        ("job", $"jobs/{fixture.Trained.Id}", ".u-over"),
        ("compared", $"jobs/{fixture.Trained.Id}?with={fixture.Other.Id}", "[aria-label=Differences]"),
        ("datasets", "datasets", "table"),
        ("upload", "datasets-new", ".drop"),
        ("dataset", "datasets/rows", "table"),
        ("artifacts", "artifacts", "table"),
        ("artifact", "artifacts/tuned@1", ".lineage"),
        ("compare", "artifacts-compare?left=base@1&right=tuned@1", "table"),
        ("quantization", $"jobs/{fixture.Quantized.Id}", ".plot"),
        ("train", "train", ".form"),
        ("quantize", "quantize", ".form"),
        ("deployments", "deployments", ".chart"),
        ("playground", "playground", ".playground"),
        ("workers", "workers", "table"),
        ("audit", "audit", "table"),
        ("people", "people", "table"),
        ("settings", "settings", "table"),
    ];
}
