using System.Text.Json;
using Microsoft.Playwright;
using ModelOps.Client;
using static Microsoft.Playwright.Assertions;

namespace ModelOps.Tests.Studio;

public sealed partial class StudioTests
{
    [Fact]
    public async Task Upload_FileWithBadRows_IsPreviewedAsTheFormSaysBeforeAnythingIsMade()
    {
        var rows = Enumerable.Range(1, 30).Select(i => i % 10 == 0 ? $$"""{"text":{{i}}}""" : $$"""{"text":"row {{i}}, ask ada{{i}}@example.org"}""");
        await using var view = await fixture.OpenAsync("engineer");
        await view.GoAsync("datasets-new");
        var file = view.Page.GetByLabel("Drop a file here");
        await file.SetInputFilesAsync(Payload("seen.jsonl", string.Join('\n', rows)));
        var preview = view.Page.GetByRole(AriaRole.Region, new() { Name = "Preview", Exact = true });
        await Expect(preview).ToContainTextAsync("27 kept, 3 rejected", new() { Timeout = 30_000 });
        await Expect(preview.GetByRole(AriaRole.Alert)).ToContainTextAsync("3 of 30 rows are bad, more than 5%");
        await Expect(preview.GetByRole(AriaRole.Region, new() { Name = "First rows" })).ToContainTextAsync("row 1, ask ada1@example.org");
        await Expect(preview.GetByRole(AriaRole.Region, new() { Name = "Rejected rows" }).GetByRole(AriaRole.Row).Nth(1)).ToContainTextAsync("""{"text":10}""");

        await PictureAsync(view.Page, "upload-preview");
        await view.Page.GetByLabel("Bad rows allowed").FillAsync("3");
        await view.Page.GetByLabel("Bad rows allowed").BlurAsync();
        await Expect(preview.GetByRole(AriaRole.Alert)).ToHaveCountAsync(0);
        Assert.DoesNotContain(await fixture.Client.Datasets.ListAsync(Cancel), dataset => dataset.Name == "seen");

        await file.SetInputFilesAsync(Payload("program.jsonl", "\u007FELF\u0002\u0001\u0001\0\0\0\0"));
        await Expect(preview.GetByRole(AriaRole.Alert)).ToContainTextAsync("program.jsonl is a binary file", new() { Timeout = 30_000 });
        Assert.Empty(view.Complaints);

        static FilePayload Payload(string name, string text) => new() { Name = name, MimeType = "application/json", Buffer = System.Text.Encoding.UTF8.GetBytes(text) };
    }

    [Fact]
    public async Task Dataset_WithTwoVersions_TellsWhatChangedAndHowItsRowsLook()
    {
        var file = Path.Combine(Directory.CreateTempSubdirectory("modelops-rows-").FullName, "changing.jsonl");
        foreach (var last in (string[])["the old row", "a new row"])
        {
            await File.WriteAllLinesAsync(file, Enumerable.Range(1, 30).Select(i => JsonSerializer.Serialize(new { text = $"row {i}" })).Append(JsonSerializer.Serialize(new { text = last })), Cancel);
            await fixture.EndAsync(await fixture.Client.Datasets.CreateVersionAsync("changing", file, new IngestionOptions { Validation = 0, Test = 0 }, progress: null, Cancel));
        }
        Directory.Delete(Path.GetDirectoryName(file)!, recursive: true);

        await using var view = await fixture.OpenAsync("viewer");
        await view.GoAsync("datasets/changing");
        await view.Page.GetByRole(AriaRole.Tab, new() { Name = "Versions" }).ClickAsync();
        var diff = view.Page.GetByRole(AriaRole.Region, new() { Name = "Difference of two versions" });
        await Expect(diff.GetByRole(AriaRole.Row).Filter(new() { HasText = "a new row" })).ToContainTextAsync("added", new() { Timeout = 30_000 });
        await Expect(diff.GetByRole(AriaRole.Row).Filter(new() { HasText = "the old row" })).ToContainTextAsync("removed");
        await Expect(diff.GetByRole(AriaRole.Row).Filter(new() { HasText = "train" }).First).ToContainTextAsync("110");

        await PictureAsync(view.Page, "dataset-diff");
        await view.Page.GetByRole(AriaRole.Tab, new() { Name = "Statistics" }).ClickAsync();
        await Expect(view.Page.GetByRole(AriaRole.Img, new() { Name = "Rows by characters: 5 to 9, most of them 6" })).ToBeVisibleAsync(soon);
        await view.GoAsync("datasets/rows");
        await view.Page.GetByRole(AriaRole.Tab, new() { Name = "Statistics" }).ClickAsync();
        await Expect(view.Page.GetByRole(AriaRole.Img, new() { Name = "Rows by messages: 2 to 2" })).ToBeVisibleAsync(soon);
        await PictureAsync(view.Page, "dataset-statistics");
        await Expect(view.Page.GetByText("latin", new() { Exact = false }).First).ToBeVisibleAsync();
        Assert.Empty(view.Complaints);
    }
}
