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
    public async Task Dataset_DroppedFile_BecomesRowsThatOneCanBrowseAndAsk()
    {
        await using var view = await fixture.OpenAsync("engineer");
        await view.GoAsync("datasets-new");
        await view.Page.GetByLabel("Drop a file here").SetInputFilesAsync(Path.Combine(RepositoryRoot.Path, "samples/datasets/wordsmith-qa.jsonl"));
        await Expect(view.Page.GetByText("– sent")).ToBeVisibleAsync();
        await Expect(view.Page.GetByLabel("Name of the dataset")).ToHaveValueAsync("wordsmith-qa");
        await view.Page.GetByLabel("Name of the dataset").FillAsync("No Such Name!");
        await view.Button("Take it in").ClickAsync();
        await Expect(view.Page.GetByRole(AriaRole.Alert)).ToContainTextAsync("No Such Name!");
        await view.Page.GetByLabel("Name of the dataset").FillAsync("dropped");
        await view.Button("Take it in").ClickAsync();
        await Expect(view.Page.GetByRole(AriaRole.Region, new() { Name = "Result" })).ToContainTextAsync("rows for sft", new() { Timeout = 30_000 });

        await view.Page.GetByRole(AriaRole.Link, new() { Name = "dropped@1" }).First.ClickAsync();
        await Expect(view.Page.GetByRole(AriaRole.Region, new() { Name = "Rows" })).ToContainTextAsync("user: ");
        await view.Page.GetByRole(AriaRole.Tab, new() { Name = "SQL" }).ClickAsync();
        var sql = view.Page.GetByLabel("One SELECT");
        await sql.FillAsync("SELECT count(*) AS n, 'seen' AS mark FROM train");
        await sql.PressAsync("Control+Enter");
        await Expect(view.Page.GetByRole(AriaRole.Cell, new() { Name = "seen" })).ToBeVisibleAsync();
        await sql.FillAsync("DROP TABLE train");
        await view.Button("Run").ClickAsync();
        await Expect(view.Page.GetByRole(AriaRole.Alert)).ToContainTextAsync("SELECT");
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
    public async Task Train_FormAndText_AreOneAndBecomeAJob()
    {
        await using var view = await fixture.OpenAsync("engineer");
        await view.GoAsync("train");
        var (text, steps) = (view.Page.GetByLabel("Recipe, YAML"), view.Page.GetByLabel("Most steps"));
        await text.FillAsync("# kept\nbatch_size: 1\nmax_steps: none # at first\n");
        await Expect(view.Page.GetByLabel("Batch size")).ToHaveValueAsync("1");
        await view.Button("Start").ClickAsync();
        await Expect(view.Page.GetByRole(AriaRole.Alert)).ToContainTextAsync("max_steps");
        await steps.FillAsync("3");
        await Expect(text).ToHaveValueAsync("# kept\nbatch_size: 1\nmax_steps: 3 # at first\n");
        await view.Page.GetByLabel("Name of what is made").FillAsync("by-form");
        await view.Button("Plan").ClickAsync();
        await Expect(view.Page.GetByRole(AriaRole.Region, new() { Name = "Plan" })).ToContainTextAsync("activations", new() { Timeout = 30_000 });
        await Expect(view.Page.GetByRole(AriaRole.Region, new() { Name = "Plan" })).ToContainTextAsync(new Regex("About [0-9]+ s of training, likely from [0-9]+ s to [0-9]+ ", RegexOptions.None, TimeSpan.FromSeconds(1)));
        await view.Button("Start").ClickAsync();
        await Expect(view.Page.GetByRole(AriaRole.Region, new() { Name = "Result" })).ToContainTextAsync("by-form@1", new() { Timeout = 60_000 });
        Assert.Equal(3, (await fixture.Client.Jobs.ListAsync(new JobFilter { Kind = "sft" }, Cancel).FirstAsync(Cancel)).Result!.Value.Deserialize(WireJson.Default.TrainingResult)!.Steps);
        Assert.Empty(view.Complaints);
    }

    [Fact]
    public async Task Deployment_ServedAskedAndStopped_ByTheBrowserAlone()
    {
        await using var view = await fixture.OpenAsync("engineer");
        await view.GoAsync("deployments?artifact=tuned-q8@1");
        await view.Page.GetByLabel("Name", new() { Exact = true }).FillAsync("asked");
        await view.Button("Serve it").ClickAsync();
        var served = view.Page.GetByRole(AriaRole.Region, new() { Name = "asked" });
        await Expect(served).ToContainTextAsync("ready", new() { Timeout = 30_000 });
        await served.GetByRole(AriaRole.Link, new() { Name = "Try it" }).ClickAsync();
        await view.Page.GetByLabel("Prompt", new() { Exact = true }).FillAsync("What does \"river\" mean?");
        await view.Button("Two side by side").ClickAsync();
        await view.Button("Ask").ClickAsync();
        await Expect(view.Page.GetByText("first token")).ToHaveCountAsync(2, new() { Timeout = 30_000 });
        await Expect(view.Page.GetByText(" tokens", new() { Exact = false }).First).ToBeVisibleAsync();
        await view.Page.GetByRole(AriaRole.Tab, new() { Name = "Python" }).ClickAsync();
        await Expect(view.Page.GetByText("client.chat.completions.create")).ToBeVisibleAsync();

        await view.GoAsync("deployments");
        await served.GetByRole(AriaRole.Button, new() { Name = "Stop" }).ClickAsync();
        await served.GetByRole(AriaRole.Button, new() { Name = "Yes, stop it" }).ClickAsync();
        await Expect(served).ToHaveCountAsync(0);
        Assert.DoesNotContain(await fixture.Client.Deployments.ListAsync(Cancel), one => one.Name == "asked");
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
        var oracles = Path.Combine(RepositoryRoot.Path, "tests/oracles");
        await NodePackages.RestoreAsync(oracles, "axe-core", Cancel);
        var axe = await File.ReadAllTextAsync(Path.Combine(oracles, "node_modules/axe-core/axe.min.js"), Cancel);
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
            var report = await shown.Page.EvaluateAsync<JsonElement>($$"""async () => { {{axe}}; return await axe.run(document, { resultTypes: ['violations'] }); }""");
            findings.AddRange(report.GetProperty("violations").EnumerateArray()
                .Where(found => found.GetProperty("impact").GetString() is "serious" or "critical")
                .Select(found => $"{name}: {found.GetProperty("id")} at {found.GetProperty("nodes")[0].GetProperty("target")} {found.GetProperty("nodes")[0].GetProperty("failureSummary")}"));
            if (await shown.Page.EvaluateAsync<bool>("document.documentElement.scrollWidth > innerWidth")) findings.Add($"{name}: wider than {width}");
            if (Environment.GetEnvironmentVariable(ScreenshotVariable) is { Length: > 0 } folder)
                await shown.Page.ScreenshotAsync(new() { Path = Path.Combine(folder, $"{name}-{theme}-{width}.png") });
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
        ("train", "train", ".form"),
        ("quantize", "quantize", ".form"),
        ("deployments", "deployments", ".form"),
        ("playground", "playground", "h1"),
        ("workers", "workers", "table"),
        ("audit", "audit", "table"),
        ("people", "people", "table"),
    ];
}
