using System.Text.Json;
using ModelOps.Workflows;

namespace ModelOps.Tests.Workflows;

/// <summary>A fine-tuning is the steps of ingestion, training and quantization as one job, under names that tell it from every other.</summary>
public sealed class FineTuningWorkflowTests(WorkflowFixture workflows) : IClassFixture<WorkflowFixture>
{
    public static FineTuningInput Input() => new(
        "base", "base@1", File("rows"), JsonElement.Parse("{}"), JsonElement.Parse("""{"method":"lora"}"""), "Q4_K_M", "acme",
        JsonElement.Parse("""{"type":"supervised"}"""), 7, "ada")
    {
        ValidationFile = File("held-out"),
        ValidationIngestion = JsonElement.Parse("""{"validation":1}"""),
        Suffix = "words",
    };

    [Fact(Timeout = 60_000)]
    public async Task Run_MakesEachArtifactAndServesTheLast()
    {
        const string Job = "job-0123456789abcdef";
        var output = await (await workflows.StartAsync("FineTuning", Job, Input())).GetResultAsync<FineTuningOutput>();
        Assert.Equal("ft:base:acme:words:456789abcdef", output.Model);
        Assert.Equal(("ft-456789abcdef-gguf", "ft-456789abcdef"), (output.Served.Name, output.Adapter.Name));
        Assert.Equal($"results of {Job}", output.Results.Id);
        Assert.Equal([JobPhase.Started, JobPhase.Succeeded], workflows.Told[Job].Select(change => change.Phase));
        var adapter = Assert.Single(workflows.Registered, made => made.Name == "ft-456789abcdef");
        Assert.Equal(["base", "dataset", "validation"], adapter.Parents.Keys.Order(StringComparer.Ordinal));
        Assert.Equal("Q4_K_M", Assert.Single(workflows.Quantized, asked => asked.Name == "ft-456789abcdef-gguf").Type);
    }

    [Theory]
    [InlineData("ft:base:acme:words:456789abcdef", "base", "words")]
    [InlineData("ft:base:acme::456789abcdef", "base", "")]
    public void Name_IsReadAsItIsWritten(string name, string model, string suffix)
    {
        var parsed = FineTunedModel.Parse(name)!;
        Assert.Equal((model, "acme", suffix, "456789abcdef"), (parsed.Base, parsed.Organization, parsed.Suffix, parsed.Id));
        Assert.Equal(name, parsed.ToString());
    }

    [Theory]
    [InlineData("words")]
    [InlineData("words:formal")]
    [InlineData("ft:formal")]
    [InlineData("ft:base:acme:words:456789abcdef:ckpt-step-3")]
    public void Name_OfAnotherModel_IsNone(string name) => Assert.Null(FineTunedModel.Parse(name));

    private static UploadedFile File(string name) => new($"file-{name}", new StoredFile($"{name}.jsonl", 1, WorkflowFixture.Base.Digest));
}
