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

    private static async Task ShootAsync(StudioView view, string name)
    {
        if (Environment.GetEnvironmentVariable(ScreenshotVariable) is { Length: > 0 } folder)
            await view.Page.ScreenshotAsync(new() { Path = Path.Combine(folder, $"{name}.png"), FullPage = true });
    }
}
