using System.Formats.Tar;
using Microsoft.Playwright;
using ModelOps.Client;
using ModelOps.Tests.Repository;
using static Microsoft.Playwright.Assertions;

namespace ModelOps.Tests.Studio;

public sealed partial class StudioTests
{
    [Fact]
    public async Task Artifacts_ChosenFromTheList_AreComparedSideBySide()
    {
        await using var view = await fixture.OpenAsync("viewer");
        await view.GoAsync("artifacts");
        var tuned = view.Page.GetByRole(AriaRole.Row).Filter(new() { Has = view.Page.GetByRole(AriaRole.Link, new() { Name = "tuned@1", Exact = true }) });
        await Expect(tuned).ToContainTextAsync("loss ");
        await view.Page.GetByLabel("Compare base@1", new() { Exact = true }).CheckAsync();
        await view.Page.GetByLabel("Compare tuned@1", new() { Exact = true }).CheckAsync();
        await view.Page.GetByRole(AriaRole.Link, new() { Name = "Compare base@1 and tuned@1" }).ClickAsync();
        var facts = view.Page.GetByRole(AriaRole.Region, new() { Name = "What they are" });
        await Expect(facts.GetByRole(AriaRole.Row).Filter(new() { HasText = "kind" })).ToContainTextAsync("modeladapterdiffers");
        await Expect(view.Page.GetByRole(AriaRole.Region, new() { Name = "Recipe" }).GetByRole(AriaRole.Row).Filter(new() { HasText = "batch_size" })).ToContainTextAsync("1differs");
        await Expect(view.Page.GetByRole(AriaRole.Region, new() { Name = "Files" })).ToContainTextAsync("adapter_model.safetensors");
        Assert.Empty(view.Complaints);
    }

    [Fact]
    public async Task Artifact_Exported_IsTheTarThatTheApiProves()
    {
        await using var view = await fixture.OpenAsync("viewer");
        await view.GoAsync("artifacts/tuned@1");
        var download = await view.Page.RunAndWaitForDownloadAsync(() => view.Page.GetByRole(AriaRole.Link, new() { Name = "Export" }).ClickAsync());
        Assert.Equal("tuned@1.tar", download.SuggestedFilename);
        var path = Path.Combine(Directory.CreateTempSubdirectory("modelops-export-").FullName, "tuned.tar");
        await download.SaveAsAsync(path);
        Assert.Equal("unchanged", (await fixture.Client.Packages.ImportAsync(path, cancellationToken: Cancel)).Outcome); // it reads and checks all of it
        var names = new List<string>();
        await using (var file = File.OpenRead(path))
        await using (var tar = new TarReader(file))
            while (await tar.GetNextEntryAsync(cancellationToken: Cancel) is { } entry) names.Add(entry.Name);
        Assert.Contains("README.md", names);
        Directory.Delete(Path.GetDirectoryName(path)!, recursive: true);
        Assert.Equal(401, await view.Page.EvaluateAsync<int>("fetch('studio/artifacts/tuned@1/export', { credentials: 'omit' }).then(answer => answer.status)"));
        Assert.Equal(404, await view.Page.EvaluateAsync<int>("fetch('studio/artifacts/nothing@1/export').then(answer => answer.status)"));
    }

    [Fact]
    public async Task Artifact_Deleted_UnlessSomethingDependsOnIt()
    {
        var files = await LocalFiles.HashFolderAsync(Path.Combine(RepositoryRoot.Path, "samples/models/wordsmith"), Cancel);
        await fixture.Client.Artifacts.PushAsync("spare", "model", files, progress: null, Cancel);
        await using var view = await fixture.OpenAsync("engineer");
        await view.GoAsync("artifacts/tuned@1");
        await view.Button("Delete").ClickAsync();
        await view.Button("Yes, delete it").ClickAsync();
        await Expect(view.Page.Locator(".problem")).ToContainTextAsync("gguf tuned-q8@1 was made from it");

        await view.GoAsync("artifacts/spare@1");
        await view.Button("Delete").ClickAsync();
        await view.Button("Yes, delete it").ClickAsync();
        await view.Page.WaitForURLAsync("**/artifacts");
        await Expect(view.Page.GetByRole(AriaRole.Link, new() { Name = "tuned@1", Exact = true }).First).ToBeVisibleAsync();
        await Expect(view.Page.GetByRole(AriaRole.Link, new() { Name = "spare@1" })).ToHaveCountAsync(0);
        Assert.Empty(view.Complaints);
    }

    [Fact]
    public async Task Quantization_OfSeveralTypes_IsPlottedOnTheJobAndWhereOneQuantizes()
    {
        await using var view = await fixture.OpenAsync("engineer");
        foreach (var page in (string[])[$"jobs/{fixture.Quantized.Id}", "quantize?artifact=base@1"])
        {
            await view.GoAsync(page);
            var plot = view.Page.GetByRole(AriaRole.Region, new() { Name = "Size and quality" });
            await Expect(plot.Locator("circle")).ToHaveCountAsync(2, new() { Timeout = 30_000 });
            await Expect(plot.GetByText("BF16", new() { Exact = true })).ToBeVisibleAsync();
            await PictureAsync(view.Page, $"plot-{page.Split('/', '?')[0]}");
            await view.Button("Perplexity").ClickAsync();
            await Expect(plot.GetByText("perplexity", new() { Exact = true })).ToBeVisibleAsync();
        }
        Assert.Empty(view.Complaints);
    }

    [Fact]
    public async Task Settings_ByAnAdministratorAlone_NameWhereEachComesFrom()
    {
        await using var boss = await fixture.OpenAsync("boss");
        await boss.GoAsync("settings");
        await boss.Page.GetByLabel("Search").FillAsync("listen:");
        await Expect(boss.Page.GetByRole(AriaRole.Row).Filter(new() { HasText = "listen:address" })).ToContainTextAsync("127.0.0.1default");
        await boss.Page.GetByLabel("Only what is not the default").CheckAsync();
        await Expect(boss.Page.GetByRole(AriaRole.Row).Filter(new() { HasText = "listen:port" })).ToContainTextAsync("flag");
        await Expect(boss.Page.GetByRole(AriaRole.Row).Filter(new() { HasText = "listen:address" })).ToHaveCountAsync(0);

        await using var engineer = await fixture.OpenAsync("engineer");
        await engineer.GoAsync("settings");
        await Expect(engineer.Page.GetByRole(AriaRole.Alert)).ToContainTextAsync("engineer has the role engineer");
        await Expect(engineer.Page.Locator("nav").GetByText("Settings")).ToHaveCountAsync(0);
        Assert.Empty(boss.Complaints.Concat(engineer.Complaints));
    }
}
