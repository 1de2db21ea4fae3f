using System.Text.RegularExpressions;
using Microsoft.Playwright;
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
        await ShootAsync(view, "trace");
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
        await ShootAsync(view, "compare");
        Assert.Empty(view.Complaints);

        async Task<int> StepsAsync(string job) =>
            (await fixture.Client.Jobs.GetMetricsAsync(job, ["loss", "validation_loss"], cancellationToken: Cancel)).SelectMany(series => series.Points.Select(point => point.Step)).Distinct().Count();
    }

    private static async Task ShootAsync(StudioView view, string name)
    {
        if (Environment.GetEnvironmentVariable(ScreenshotVariable) is { Length: > 0 } folder)
            await view.Page.ScreenshotAsync(new() { Path = Path.Combine(folder, $"{name}.png"), FullPage = true });
    }
}
