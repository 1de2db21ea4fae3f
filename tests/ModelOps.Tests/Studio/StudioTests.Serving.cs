using System.Text.RegularExpressions;
using Microsoft.Playwright;
using ModelOps.Client;
using ModelOps.Tests.Repository;
using static Microsoft.Playwright.Assertions;

namespace ModelOps.Tests.Studio;

/// <summary>From a file to answers, and what one does with them.</summary>
public sealed partial class StudioTests
{
    [Fact]
    public async Task MainJob_FromTheFileToTheAnswer_ByTheBrowserAlone()
    {
        await using var view = await fixture.OpenAsync(user: null);
        var page = view.Page;

        // 1. Sign in.
        await page.GotoAsync($"{fixture.Address}/sign-in");
        await page.GetByLabel("User").FillAsync("engineer");
        await page.GetByLabel("Password").FillAsync(StudioFixture.Password);
        await view.Button("Sign in").ClickAsync();
        await page.WaitForURLAsync($"{fixture.Address}/");

        // 2. A dropped file becomes rows that one can browse and ask.
        await view.GoAsync("datasets-new");
        await page.GetByLabel("Drop a file here").SetInputFilesAsync(Path.Combine(RepositoryRoot.Path, "samples/datasets/wordsmith-qa.jsonl"));
        await Expect(page.GetByText("– sent")).ToBeVisibleAsync();
        await Expect(page.GetByLabel("Name of the dataset")).ToHaveValueAsync("wordsmith-qa");
        await page.GetByLabel("Name of the dataset").FillAsync("No Such Name!");
        await view.Button("Take it in").ClickAsync();
        await Expect(page.GetByRole(AriaRole.Alert)).ToContainTextAsync("No Such Name!");
        await page.GetByLabel("Name of the dataset").FillAsync("dropped");
        await view.Button("Take it in").ClickAsync();
        await Expect(Region("Result")).ToContainTextAsync("rows for sft", new() { Timeout = 30_000 });
        await page.GetByRole(AriaRole.Link, new() { Name = "dropped@1" }).First.ClickAsync();
        await Expect(Region("Rows")).ToContainTextAsync("user: ");
        await page.GetByRole(AriaRole.Tab, new() { Name = "SQL" }).ClickAsync();
        var sql = page.GetByLabel("One SELECT");
        await sql.FillAsync("SELECT count(*) AS n, 'seen' AS mark FROM train");
        await sql.PressAsync("Control+Enter");
        await Expect(page.GetByRole(AriaRole.Cell, new() { Name = "seen" })).ToBeVisibleAsync();
        await sql.FillAsync("DROP TABLE train");
        await view.Button("Run").ClickAsync();
        await Expect(page.GetByRole(AriaRole.Alert)).ToContainTextAsync("SELECT");

        // 3. Train: form and text are one.
        await view.GoAsync("train?base=base&dataset=dropped");
        var (text, steps) = (page.GetByLabel("Recipe, YAML"), page.GetByLabel("Most steps"));
        await text.FillAsync("# kept\nbatch_size: 1\nmax_steps: none # at first\n");
        await Expect(page.GetByLabel("Batch size")).ToHaveValueAsync("1");
        await view.Button("Start").ClickAsync();
        await Expect(page.GetByRole(AriaRole.Alert)).ToContainTextAsync("max_steps");
        await steps.FillAsync("3");
        await Expect(text).ToHaveValueAsync("# kept\nbatch_size: 1\nmax_steps: 3 # at first\n");
        await page.GetByLabel("Name of what is made").FillAsync("by-form");
        await view.Button("Plan").ClickAsync();
        await Expect(Region("Plan")).ToContainTextAsync("activations", new() { Timeout = 30_000 });
        await Expect(Region("Plan")).ToContainTextAsync(new Regex("About [0-9]+ s of training, likely from [0-9]+ s to [0-9]+ ", RegexOptions.None, TimeSpan.FromSeconds(1)));
        await view.Button("Start").ClickAsync();
        await Expect(Region("Result")).ToContainTextAsync("nats per token, 3 steps", new() { Timeout = 60_000 });

        // 4. Quantize.
        await Region("Result").GetByRole(AriaRole.Link, new() { Name = "by-form@1" }).ClickAsync();
        await page.GetByRole(AriaRole.Link, new() { Name = "Quantize" }).Last.ClickAsync();
        await Expect(page.GetByLabel("Name of what is made")).ToHaveValueAsync("by-form-gguf");
        await view.Button("Start").ClickAsync();
        await Expect(Region("Result")).ToContainTextAsync("Q8_0", new() { Timeout = 60_000 });
        await Region("Result").GetByRole(AriaRole.Link, new() { Name = "by-form-gguf@1" }).ClickAsync();

        // 5. The whole chain behind it holds.
        await view.Button("Verify").ClickAsync();
        await Expect(Region("Verification")).ToContainTextAsync("verified");
        foreach (var link in new[] { "by-form-gguf@1", "by-form@1", "base@1", "dropped@1" })
            await Expect(Region("Verification").GetByRole(AriaRole.Cell, new() { Name = link, Exact = true }).First).ToBeVisibleAsync();

        // 6. Serve and ask it.
        await page.GetByRole(AriaRole.Link, new() { Name = "Serve" }).ClickAsync();
        await page.GetByLabel("Name", new() { Exact = true }).FillAsync("asked");
        await view.Button("Serve it").ClickAsync();
        var served = Region("asked");
        await Expect(served).ToContainTextAsync("ready", new() { Timeout = 30_000 });
        await served.GetByRole(AriaRole.Link, new() { Name = "Try it" }).ClickAsync();
        await page.GetByLabel("Prompt", new() { Exact = true }).FillAsync("What does \"river\" mean?");
        await view.Button("Ask").ClickAsync();
        await Expect(page.GetByText("first token")).ToBeVisibleAsync(new() { Timeout = 30_000 });

        // 7. Its figures come by themselves, another model takes its place, and it stops.
        await view.GoAsync("deployments");
        await Expect(served.Locator("tbody tr").First).ToContainTextAsync(" / "); // latencies: p50 / p95
        await PictureAsync(page, "deployments");
        await ChooseAsync(served, "Replace its model", "tuned-q8@1");
        await served.GetByRole(AriaRole.Button, new() { Name = "Replace", Exact = true }).ClickAsync();
        await Expect(served.GetByRole(AriaRole.Link, new() { Name = "tuned-q8@1" })).ToBeVisibleAsync(soon);
        Assert.Equal("tuned-q8@1", (await fixture.Client.Deployments.GetAsync("asked", Cancel)).Artifact);
        await served.GetByRole(AriaRole.Button, new() { Name = "Stop" }).ClickAsync();
        await served.GetByRole(AriaRole.Button, new() { Name = "Yes, stop it" }).ClickAsync();
        await Expect(served).ToHaveCountAsync(0);
        Assert.DoesNotContain(await fixture.Client.Deployments.ListAsync(Cancel), one => one.Name == "asked");
        Assert.Empty(view.Complaints);

        ILocator Region(string name) => page.GetByRole(AriaRole.Region, new() { Name = name, Exact = true });
    }

    [Fact]
    public async Task Playground_ToolsSchemaAndLogprobs_AreAskedForShownAndInTheCode()
    {
        await using var view = await fixture.OpenAsync("engineer");
        var page = view.Page;
        await view.GoAsync("playground?model=words");
        var (prompt, parameters, code) = (page.GetByLabel("Prompt", new() { Exact = true }), Region("Parameters"), Region("The same by code"));
        await code.GetByRole(AriaRole.Tab, new() { Name = "Python" }).ClickAsync();
        await prompt.FillAsync("What does \"river\" mean?");

        // 1. A schema: its faults stand at the field, its answer is set out.
        await ChooseAsync(parameters, "Answer", "JSON of a schema");
        var schema = page.GetByLabel("Schema, JSON");
        await schema.FillAsync("{\"type\": ");
        await Expect(parameters).ToContainTextAsync("No JSON from line 1, byte 10 on");
        await Expect(view.Button("Ask")).ToBeDisabledAsync();
        await schema.FillAsync("""{"type": "object", "properties": {"word": {"enum": ["river"]}, "known": {"enum": [true]}}, "required": ["word", "known"]}""");
        await Expect(code).ToContainTextAsync("response_format={\"type\": \"json_schema\", \"json_schema\": {\"name\": \"answer\", \"strict\": True, ");
        await view.Button("Ask").ClickAsync();
        await Expect(page.Locator(".said.json")).ToHaveTextAsync(new Regex("^\\{\\n  \"word\": \"river\",\\n  \"known\": true\\n\\}$", RegexOptions.None, TimeSpan.FromSeconds(1)), new() { Timeout = 30_000 });

        // 2. Tools: the model must call one.
        await view.Button("New talk").ClickAsync();
        await ChooseAsync(parameters, "Answer", "text or tool calls");
        var tools = page.GetByLabel("Tools, JSON");
        await Expect(tools).ToHaveValueAsync(new Regex("\"name\": \"weather\"", RegexOptions.None, TimeSpan.FromSeconds(1)));
        await tools.FillAsync("{}");
        await Expect(parameters).ToContainTextAsync("It must be a list");
        await tools.FillAsync("""[{"type": "function", "function": {"name": "look_up", "parameters": {"type": "object", "properties": {"word": {"enum": ["river"]}}, "required": ["word"]}}}]""");
        await ChooseAsync(parameters, "Tool choice", "required");
        await Expect(code).ToContainTextAsync("tool_choice=\"required\"");
        await prompt.FillAsync("What does \"river\" mean?");
        await view.Button("Ask").ClickAsync();
        await Expect(page.GetByRole(AriaRole.Group, new() { Name = "Call of look_up" })).ToContainTextAsync("\"word\": \"river\"", new() { Timeout = 30_000 });

        // 3. How likely each token was: by pointer, and by keys.
        await view.Button("New talk").ClickAsync();
        await ChooseAsync(parameters, "Answer", "text");
        await page.GetByLabel("How likely each token was").CheckAsync();
        foreach (var (label, value) in new[] { ("Temperature", "1.5"), ("Seed", "7"), ("Most tokens", "24") })
        {
            await page.GetByLabel(label).FillAsync(value);
            await page.GetByLabel(label).BlurAsync();
        }
        await Expect(code).ToContainTextAsync("top_logprobs=5");
        await prompt.FillAsync("What does \"river\" mean?");
        await view.Button("Ask").ClickAsync();
        var tokens = page.Locator(".token");
        await Expect(page.GetByText("first token")).ToBeVisibleAsync(soon);
        await Expect(tokens.Nth(3)).ToBeVisibleAsync();
        await tokens.First.FocusAsync();
        await page.Keyboard.PressAsync("ArrowRight");
        await Expect(tokens.Nth(1)).ToBeFocusedAsync();
        await Expect(tokens.Nth(1)).ToHaveAttributeAsync("aria-selected", "true");
        await Expect(page.Locator(".alternatives dt")).ToHaveCountAsync(5);
        Assert.Matches("^‘.*’, [0-9.]+ %$", await tokens.Nth(1).GetAttributeAsync("aria-label"));
        await tokens.Nth(3).HoverAsync();
        await Expect(tokens.Nth(3)).ToHaveAttributeAsync("aria-selected", "true");
        Assert.Empty(await AxeAsync(page));
        await page.GetByRole(AriaRole.Heading, new() { Level = 1 }).ScrollIntoViewIfNeededAsync();
        await PictureAsync(page, "tokens");
        Assert.Empty(view.Complaints);

        ILocator Region(string name) => page.GetByRole(AriaRole.Region, new() { Name = name, Exact = true });
    }

    [Fact]
    public async Task Playground_TheBetterOfTwoAnswers_BecomesARowOfADataset()
    {
        await using var view = await fixture.OpenAsync("engineer");
        var page = view.Page;
        var pairs = page.GetByRole(AriaRole.Region, new() { Name = "Preference pairs" });
        await view.GoAsync("playground?model=words");
        await PreferAsync("the first");
        await Expect(pairs).ToContainTextAsync("What does the first mean?");

        // 1. What is not saved stays, whatever becomes of the page.
        await page.GetByRole(AriaRole.Link, new() { Name = "Jobs" }).ClickAsync();
        await page.ReloadAsync();
        await view.GoAsync("playground?model=words");
        await Expect(pairs).ToContainTextAsync("What does the first mean?");

        // 2. It becomes a dataset, the next pair its next version; rows of another task stay alone.
        await pairs.GetByLabel("Dataset").FillAsync("rows");
        await pairs.GetByRole(AriaRole.Button, new() { Name = "Save as preference pair" }).ClickAsync();
        await Expect(pairs.GetByRole(AriaRole.Alert)).ToContainTextAsync("rows has rows for sft");
        await pairs.GetByLabel("Dataset").FillAsync("liked");
        await pairs.GetByRole(AriaRole.Button, new() { Name = "Save as preference pair" }).ClickAsync();
        await Expect(page.GetByRole(AriaRole.Link, new() { Name = "liked@1" })).ToBeVisibleAsync(soon);
        await PreferAsync("the second");
        Assert.Empty(await AxeAsync(page));
        await pairs.GetByLabel("Dataset").FillAsync("liked");
        await pairs.GetByRole(AriaRole.Button, new() { Name = "Save as preference pair" }).ClickAsync();
        await Expect(page.GetByRole(AriaRole.Link, new() { Name = "liked@2" })).ToBeVisibleAsync(soon);

        var made = (await fixture.Client.Datasets.GetAsync("liked", cancellationToken: Cancel)).Versions[^1];
        Assert.Equal(("preference", 2L, 0L, "liked@1-and-1-from-playground.jsonl"), (made.Task, made.Rows.Values.Sum(), made.RejectedRows, made.Report!.Source.FileName));
        var rows = new List<string>();
        foreach (var split in made.Rows.Where(split => split.Value > 0))
            rows.AddRange((await fixture.Client.Datasets.QueryAsync("liked", new QueryDataset { Sql = $"SELECT prompt[1].role || ': ' || prompt[1].content AS asked FROM {split.Key}" }, Cancel))
                .Rows.Select(row => row.GetProperty("asked").GetString()!));
        Assert.Equal(["user: What does the first mean?", "user: What does the second mean?"], rows.Order(StringComparer.Ordinal));
        Assert.Empty(view.Complaints);

        async Task PreferAsync(string what)
        {
            if (await page.GetByRole(AriaRole.Region, new() { Name = "Talk with words" }).CountAsync() < 2) await view.Button("Two side by side").ClickAsync();
            await page.GetByLabel("Temperature").FillAsync("2"); // so that the two differ
            await page.GetByLabel("Most tokens").FillAsync("24");
            await page.GetByLabel("Prompt", new() { Exact = true }).FillAsync($"What does {what} mean?");
            await view.Button("Ask").ClickAsync();
            await Expect(view.Button("The second")).ToBeVisibleAsync(soon);
            await PictureAsync(page, $"pairs-{what}");
            await view.Button("The second").ClickAsync();
        }
    }

    /// <summary>Takes an item of a list that opens.</summary>
    private static async Task ChooseAsync(ILocator within, string label, string item)
    {
        await within.Locator(".mud-input-control.mud-select").Filter(new() { HasText = label }).ClickAsync();
        await within.Page.Locator(".mud-popover-open .mud-list-item").GetByText(item, new() { Exact = true }).ClickAsync();
    }
}
