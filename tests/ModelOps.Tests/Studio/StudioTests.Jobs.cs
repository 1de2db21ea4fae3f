using System.Text.Json;
using System.Text.RegularExpressions;
using Microsoft.Playwright;
using ModelOps.Registry;
using ModelOps.Server.Training;
using ModelOps.Tests.Repository;
using ModelOps.Workflows;
using static Microsoft.Playwright.Assertions;

namespace ModelOps.Tests.Studio;

/// <summary>What the page of a job tells of it.</summary>
public sealed partial class StudioTests
{
    [Fact]
    public async Task Trace_OfATraining_IsATableWhoseRowsFold()
    {
        await using var view = await fixture.OpenAsync("viewer");
        await view.GoAsync($"jobs/{fixture.Trained.Id}");
        await view.Page.GetByRole(AriaRole.Tab, new() { Name = "Trace" }).ClickAsync();
        var rows = view.Page.GetByRole(AriaRole.Region, new() { Name = "Trace" }).Locator("tbody tr");
        var training = rows.Filter(new() { HasText = "TrainAdapter" }).First;
        await Expect(training.GetByRole(AriaRole.Cell).First).ToContainTextAsync("training ");
        var trace = await fixture.Client.Jobs.GetTraceAsync(fixture.Trained.Id, Cancel);
        await Expect(view.Page.GetByRole(AriaRole.Caption)).ToContainTextAsync($"{trace.Spans.Count} spans");
        var all = await rows.CountAsync();
        var button = rows.GetByRole(AriaRole.Button, new() { Expanded = true }).First;
        await button.ClickAsync();
        await Expect(rows.GetByRole(AriaRole.Button, new() { Expanded = false })).ToHaveCountAsync(1);
        Assert.InRange(await rows.CountAsync(), 1, all - 1);
        await rows.GetByRole(AriaRole.Button, new() { Expanded = false }).ClickAsync();
        await Expect(rows).ToHaveCountAsync(all);
        await PictureAsync(view.Page, "trace");
        Assert.Empty(view.Complaints);
    }

    [Fact]
    public async Task Compare_AnotherTraining_IsDrawnBesideAndTellsTheDifference()
    {
        await using var view = await fixture.OpenAsync("viewer");
        await view.GoAsync($"jobs/{fixture.Trained.Id}");
        var compare = view.Page.GetByRole(AriaRole.Region, new() { Name = "Compare" });
        await compare.Locator(".mud-input-slot").First.ClickAsync();
        await view.Page.Locator(".mud-popover-open .mud-list-item").Filter(new() { HasText = "other@1" }).ClickAsync();
        await view.Page.WaitForURLAsync($"**/jobs/{fixture.Trained.Id}?with={fixture.Other.Id}");
        await view.Page.Keyboard.PressAsync("Escape");
        var differences = compare.GetByRole(AriaRole.Region, new() { Name = "Differences" }).GetByRole(AriaRole.Row);
        await Expect(differences.Filter(new() { HasText = "rank" })).ToHaveTextAsync(new Regex("8.*4", RegexOptions.None, TimeSpan.FromSeconds(1)));
        await Expect(differences.Filter(new() { HasText = "loss after" })).ToHaveCountAsync(1);
        await Expect(differences.Filter(new() { HasText = "batch size" })).ToHaveCountAsync(0); // the same in both

        await view.Page.ReloadAsync(); // the address keeps it
        var loss = view.Page.GetByRole(AriaRole.Region, new() { Name = "Loss", Exact = true });
        await Expect(loss.Locator(".u-legend")).ToContainTextAsync("other@1 validation loss");
        await Expect(loss.Locator(".chart")).ToHaveAttributeAsync("data-points", $"{await StepsAsync(fixture.Trained.Id) + await StepsAsync(fixture.Other.Id)}");
        await PictureAsync(view.Page, "compare");
        Assert.Empty(view.Complaints);

        async Task<int> StepsAsync(string job) =>
            (await fixture.Client.Jobs.GetMetricsAsync(job, ["loss", "validation_loss"], cancellationToken: Cancel)).SelectMany(series => series.Points.Select(point => point.Step)).Distinct().Count();
    }

    [Fact]
    public async Task Charts_OfManyPoints_HaveThemAllAndDrawOncePerUpdate()
    {
        const int Points = 5000;
        var quantized = await fixture.Client.Jobs.ListAsync(new() { Kind = "quantization" }, Cancel).FirstAsync(Cancel); // has no metrics of its own
        await using var database = MetadataDatabase.Open(new MetadataOptions(), Path.Combine(fixture.Server.Home, "metadata.db"));
        await new JobMetrics(database).AddAsync(quantized.Id, [.. Enumerable.Range(1, Points).Select(Point)], Cancel);
        await using var view = await fixture.OpenAsync("viewer");
        await view.GoAsync($"jobs/{quantized.Id}");
        foreach (var title in (string[])["Loss", "Tokens per second", "Learning rate", "Gradient norm"])
        {
            var chart = view.Page.GetByRole(AriaRole.Region, new() { Name = title, Exact = true }).Locator(".chart");
            await Expect(chart).ToHaveAttributeAsync("data-points", $"{Points}");
            await Expect(chart).ToHaveAttributeAsync("data-draws", "1");
        }

        // The charts of a page as updates come in: four, each with a point more in every frame.
        var told = await view.Page.EvaluateAsync<JsonElement>(await File.ReadAllTextAsync(Path.Combine(RepositoryRoot.Path, "tests/ModelOps.Tests/Studio/charts.js"), Cancel), Points);
        TestContext.Current.TestOutputHelper!.WriteLine(told.ToString());
        Assert.Equal((Points + 120, 121), (told.GetProperty("points").GetInt32(), told.GetProperty("draws").GetInt32()));
        Assert.Empty(view.Complaints);

        static MetricPoint Point(int step) => new(step, DateTimeOffset.UnixEpoch, new Dictionary<string, double>(StringComparer.Ordinal)
        {
            ["loss"] = 3 + Math.Sin(step / 50.0),
            ["tokens_per_second"] = 900 + (step % 7),
            ["learning_rate"] = 1e-4 * step,
            ["grad_norm"] = 1 + (step % 3),
        });
    }
}
