using System.Text.Json;
using System.Xml.Linq;
using ModelOps.Cli;
using ModelOps.Client;
using ModelOps.Ggml;
using ModelOps.Tests.Cli;
using ModelOps.Tests.EndToEnd;
using ModelOps.Workflows;

namespace ModelOps.Tests.Training;

/// <summary>Quantization from the command line to what lies in the store, on the bundled model.</summary>
public sealed class QuantizationJobTests(TrainingServer server) : IClassFixture<TrainingServer>
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Quantize_SeveralTypesWithImportance_LeavesASignedArtifactOfEach()
    {
        var plot = Path.Combine(server.Home, "plot.svg");
        var run = await RunAsync(
            "quantize", "base", "--type", "Q8_0,IQ2_XXS", "--type", "Q4_K_M", "--name", "many", "--dataset", "rows", "--rows", "8",
            "--imatrix", "rows", "--imatrix-rows", "16", "--watch", "--plot", plot, "--json");

        Assert.True(run.Code == ExitCodes.Done, run.Error);
        var job = JsonSerializer.Deserialize(run.Out, WireJson.Default.Job)!;
        var result = job.Result!.Value.Deserialize(WireJson.Default.QuantizationResult)!;
        Assert.Equal(["many-q8-0@1", "many-iq2-xxs@1", "many-q4-k-m@1"], result.Artifacts.Select(made => made.Artifact));
        Assert.Equal(result.Artifacts.Select(made => made.Artifact), job.Artifacts);
        Assert.Empty(result.Failed);
        Assert.InRange(result.Parity!.MaxLogitDifference, 0, result.Parity.Tolerance);
        Assert.Equal(8, result.Parity.Prompts);
        Assert.All(result.Artifacts, made => Assert.Equal(8, made.Quality!.Texts));
        Assert.Equal(["Q8_0", "Q4_K_M", "IQ2_XXS"], result.Artifacts.OrderBy(made => made.Quality!.KlDivergence).Select(made => made.Type));
        Assert.Equal(["Q8_0", "Q4_K_M", "IQ2_XXS"], result.Artifacts.OrderByDescending(made => made.Size).Select(made => made.Type));

        var gates = await server.Client.Artifacts.GetAsync("many-q8-0", Cancel);
        foreach (var metric in (string[])["size", "perplexity", "source_perplexity", "kl_divergence", "kl_divergence_p99", "kl_divergence_max", "top_one_agreement", "prompt_tokens_per_second", "decode_tokens_per_second", "parity_token_agreement"])
            Assert.True(double.IsFinite(gates.Metrics[metric]), metric);

        var low = await server.Client.Artifacts.GetAsync("many-iq2-xxs", Cancel);
        Assert.Equal(["imatrix.dat", "many.IQ2_XXS.gguf", "quantization-report.json"], low.Files.Select(file => file.Path));
        Assert.Equal(["importance rows@1", "source base@1"], low.Parents.Select(parent => $"{parent.Role} {parent.Artifact}").Order(StringComparer.Ordinal));
        Assert.Equal(result.Artifacts[1].Quality!.KlDivergence, low.Metrics["kl_divergence"]);
        Assert.Equal(result.Artifacts[1].BitsPerWeight, low.Metrics["bits_per_weight"]);
        Assert.True((await server.Client.Artifacts.VerifyAsync("many-iq2-xxs", Cancel)).Verified);
        using var report = JsonDocument.Parse(await StoredBytes.ReadAsync(server.Home, low.Files.Single(file => file.Path == "quantization-report.json").Sha256, Cancel));
        Assert.Equal(("IQ2_XXS", "rows@1", 16), (
            report.RootElement.GetProperty("type").GetString(),
            report.RootElement.GetProperty("importance").GetProperty("dataset").GetString(),
            report.RootElement.GetProperty("importance").GetProperty("texts").GetInt32()));

        var circles = XDocument.Load(plot).Descendants("{http://www.w3.org/2000/svg}circle").ToList();
        Assert.Equal(3, circles.Count);
        Assert.Equal(["IQ2_XXS", "Q4_K_M", "Q8_0"], circles.OrderBy(circle => (double)circle.Attribute("cx")!).Select(circle => circle.Value.Split(':')[0]));

        var shown = await RunAsync("jobs", "show", job.Id);
        foreach (var part in (string[])["bits/weight", "many-q4-k-m@1", "parity with the trainer", "KL divergence from the source (log)"]) Assert.Contains(part, shown.Out, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Quantize_WhatCannotBe_SaysAllOfIt()
    {
        var run = await RunAsync("quantize", "base", "--type", "Q9_9,IQ1_M,Q8_0,Q8_0", "--name", "Not A Name", "--imatrix-rows", "5");

        Assert.Equal(ExitCodes.Usage, run.Code);
        foreach (var fault in (string[])["type 'Q9_9' is unknown; known are F32, F16", "IQ1_M needs an importance matrix", "type 'Q8_0' is named twice", "Not A Name", "importance_rows says nothing"])
            Assert.Contains(fault, run.Error, StringComparison.Ordinal);
        Assert.Equal(ExitCodes.Usage, (await RunAsync("quantize", "base", "--name", "x", "--plot", "x.svg")).Code);
    }

    [Fact]
    public void QuantizationTypes_OfTheGateway_AreThoseOfTheWorker()
    {
        Assert.Equal(Enum.GetNames<QuantizationType>().Order(StringComparer.Ordinal), QuantizationTypes.All.Order(StringComparer.Ordinal));
        Assert.Equal(
            QuantizationTypes.All.Where(type => Enum.Parse<QuantizationType>(type).NeedsImportanceMatrix()),
            QuantizationTypes.All.Intersect(QuantizationTypes.ThatNeedImportance, StringComparer.Ordinal));
        Assert.Subset(QuantizationTypes.All.ToHashSet(StringComparer.Ordinal), QuantizationTypes.ThatNeedImportance.ToHashSet(StringComparer.Ordinal));
    }

    [Fact]
    public async Task Import_GgufWithoutItsOriginal_IsServedAndQuantizedButNotTrainedOn()
    {
        await server.SucceedAsync(await server.Client.Jobs.StartQuantizationAsync(new CreateQuantization { Artifact = "base", Types = ["F16"], Name = "half", Rows = 1 }, Cancel));
        var made = Assert.Single((await server.Client.Artifacts.GetAsync("half", Cancel)).Files, part => part.Path.EndsWith(".gguf", StringComparison.Ordinal));
        var file = Path.Combine(server.Home, "downloaded-f16.gguf");
        await File.WriteAllBytesAsync(file, await StoredBytes.ReadAsync(server.Home, made.Sha256, Cancel), Cancel);

        var imported = await RunAsync("models", "import", file, "--license", "mit", "--source", "https://example.org/words");

        Assert.True(imported.Code == ExitCodes.Done, imported.Error);
        var artifact = await server.Client.Artifacts.GetAsync("downloaded-f16", Cancel);
        Assert.Equal(("gguf", "mit", "https://example.org/words"), (artifact.Kind, artifact.License, artifact.Source));
        Assert.Contains("downloaded-f16@1", (await RunAsync("models", "list")).Out, StringComparison.Ordinal);
        Assert.DoesNotContain("half@1", (await RunAsync("models", "list")).Out, StringComparison.Ordinal);

        var job = await server.SucceedAsync(await server.Client.Jobs.StartQuantizationAsync(
            new CreateQuantization { Artifact = "downloaded-f16", Types = ["Q4_0"], Name = "small", Dataset = "rows", Rows = 4 }, Cancel));
        var result = job.Result!.Value.Deserialize(WireJson.Default.QuantizationResult)!;
        Assert.Null(result.Parity);
        Assert.InRange(Assert.Single(result.Artifacts).BitsPerWeight, 4, 6);
        Assert.Equal("source downloaded-f16@1", Assert.Single((await server.Client.Artifacts.GetAsync("small", Cancel)).Parents) is var parent ? $"{parent.Role} {parent.Artifact}" : "");
        Assert.Equal("ready", (await server.Client.Deployments.CreateAsync(new CreateDeployment { Name = "imported", Artifact = "downloaded-f16" }, Cancel)).State);

        var again = await server.EndAsync(await server.Client.Jobs.StartQuantizationAsync(new CreateQuantization { Artifact = "small", Types = ["Q4_0"], Name = "twice" }, Cancel));
        Assert.Equal("quantization_failed", again.Error!.Type);
        Assert.Contains("is quantized already", again.Error.Message, StringComparison.Ordinal);
        var trained = await server.EndAsync(await server.Client.Jobs.StartTrainingAsync(new CreateTraining { Base = "downloaded-f16", Dataset = "rows", Name = "never" }, Cancel));
        Assert.Equal("invalid_input", trained.Error!.Type);
        Assert.Contains("downloaded-f16@1 is a gguf; needed is a model", trained.Error.Message, StringComparison.Ordinal);
        Assert.Contains("import the model that it was made of, in Hugging Face layout", trained.Error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Import_PartsThatAreNotThere_NamesEach()
    {
        var folder = Directory.CreateDirectory(Path.Combine(server.Home, "parts")).FullName;
        await File.WriteAllBytesAsync(Path.Combine(folder, "m-00001-of-00003.gguf"), [.. "GGUF"u8, 3, 0, 0, 0], Cancel);
        await File.WriteAllBytesAsync(Path.Combine(folder, "m-00002-of-00003.gguf"), [.. "GGUF"u8, 9, 0, 0, 0], Cancel);

        var run = await RunAsync("models", "import", Path.Combine(folder, "m-00001-of-00003.gguf"));

        Assert.NotEqual(ExitCodes.Done, run.Code);
        Assert.Contains("m-00002-of-00003.gguf is GGUF version 9; 2 and 3 are supported", run.Error, StringComparison.Ordinal);
        Assert.Contains("m-00003-of-00003.gguf is missing", run.Error, StringComparison.Ordinal);
    }

    private Task<CliRun> RunAsync(params string[] arguments) => CliRun.Of([.. arguments, "--home", server.Home], cancellationToken: Cancel);
}
