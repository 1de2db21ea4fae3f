using System.Diagnostics;
using System.Security.Cryptography;
using ModelOps.ModelFiles.ChatTemplates;
using ModelOps.Recipes;
using ModelOps.Training;
using ModelOps.Training.Evaluations;
using ModelOps.Training.Plugins;

namespace ModelOps.Services.Tests.Plugins;

/// <summary>A plugin made from the template, as its user makes it.</summary>
public sealed class BuiltPlugin : IAsyncLifetime
{
    public const string Name = "MyPlugin";
    private static readonly TimeSpan patience = TimeSpan.FromMinutes(4);
    private readonly TempFolder folder = new();

    public string Assembly => Path.Combine(folder["out"], $"{Name}.dll");

    public async ValueTask InitializeAsync()
    {
        var template = Path.Combine(TestPaths.Repository, "samples", "plugins", "example");
        await DotnetAsync("new", "install", template, "--debug:custom-hive", folder["hive"]);
        await DotnetAsync("new", "modelops-plugin", "-n", Name, "-o", folder["src"], "--debug:custom-hive", folder["hive"]);
        await DotnetAsync("build", folder["src"], "-c", "Release", "-o", folder["out"], "--nologo", $"-p:ModelOpsWorker={AppContext.BaseDirectory}");
    }

    public ValueTask DisposeAsync()
    {
        folder.Dispose();
        return ValueTask.CompletedTask;
    }

    private async Task DotnetAsync(params string[] arguments)
    {
        var start = new ProcessStartInfo("dotnet", arguments) { UseShellExecute = false, RedirectStandardOutput = true, RedirectStandardError = true, WorkingDirectory = folder.Path };
        start.Environment["DOTNET_CLI_TELEMETRY_OPTOUT"] = "1";
        start.Environment["MSBUILDDISABLENODEREUSE"] = "1"; // no build server outlives the test
        using var process = Process.Start(start)!;
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        limit.CancelAfter(patience);
        var output = process.StandardOutput.ReadToEndAsync(limit.Token);
        var errors = process.StandardError.ReadToEndAsync(limit.Token);
        await process.WaitForExitAsync(limit.Token);
        if (process.ExitCode != 0) throw new InvalidOperationException($"dotnet {string.Join(' ', arguments)} ended with {process.ExitCode}:\n{await output}{await errors}");
    }
}

public sealed class PluginFolderTests(BuiltPlugin built) : IClassFixture<BuiltPlugin>, IDisposable
{
    private readonly TempFolder temp = new();

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    private string Digest => Convert.ToHexStringLower(SHA256.HashData(File.ReadAllBytes(built.Assembly)));

    public void Dispose() => temp.Dispose();

    [Fact]
    public async Task Load_Allowed_TrainsWithItsLossAndRecordsItsDigest()
    {
        Install();
        TestModels.Write(temp["base"]);
        var registry = Load(Digest);

        Assert.Empty(registry.Refused);
        Assert.Contains("focal", registry.Names(AlgorithmKind.Loss));
        var plain = await TrainAsync(registry, "cross_entropy");
        var zero = await TrainAsync(registry, "focal(gamma=0)");
        var focal = await TrainAsync(registry, "focal");
        Assert.Equal(plain.First, zero.First, 1e-4); // γ 0 is cross-entropy
        Assert.InRange(focal.First, 0.1, plain.First * 0.9999); // (1 − p)² takes of each
        Assert.Equal("focal(gamma=2)", focal.Outcome.ResolvedRecipe.Loss);
        Assert.Equal(new Dictionary<string, string> { [BuiltPlugin.Name] = Digest }, focal.Outcome.ResolvedRecipe.Plugins);
    }

    [Fact]
    public async Task Load_Allowed_EvaluatesWithItsMetric()
    {
        Install();
        var model = TestModels.Write(temp["base"]);
        EvaluationExample[] rows = [EvaluationExample.OfConversation("a", [new("user", "Say it."), new(ChatMessage.AssistantRole, "the same")])!];
        var metrics = MetricSelection.Of(["word_f1"], rows, Load(Digest));

        var score = Assert.Single(await ModelEvaluation.RunAsync(new(model.Path), rows, new() { Metrics = metrics, MaxTokens = 8, Threads = 1 }, progress: null, Cancellation));

        Assert.InRange(score.Values["word_f1"].Value, 0, 1);
        var judge = metrics.Judges["word_f1"];
        Assert.Equal(Digest, judge.Source!.Sha256);
        Assert.Equal(0.8, judge.Plugin.Apply(new([], "a b c", "c a", judge.Options)), 1e-12); // P 1, R 2/3
    }

    [Theory]
    [InlineData(null, "it is not allowed")]
    [InlineData("00", "allowed is another one, 00")]
    public void Load_NotAllowed_IsNotLoadedAndSaysWhichDigestToAdd(string? allowed, string why)
    {
        Install();

        var registry = Load(allowed);

        Assert.DoesNotContain("focal", registry.Names(AlgorithmKind.Loss));
        Assert.Contains($"{why}; to allow this one set plugins:allowed:{BuiltPlugin.Name} to {Digest}", Assert.Single(registry.Refused), StringComparison.Ordinal);
        var faults = new List<string>();
        Assert.Null(registry.Choose<LossPlugin>(AlgorithmKind.Loss, "focal", faults));
        Assert.Contains(Digest, Assert.Single(faults), StringComparison.Ordinal);
    }

    [Fact]
    public void Load_ChangedByOneByte_IsNotLoaded()
    {
        var digest = Digest;
        var file = Install();
        var bytes = File.ReadAllBytes(file);
        bytes[^1] ^= 1;
        File.WriteAllBytes(file, bytes);

        Assert.Contains("allowed is another one", Assert.Single(Load(digest).Refused), StringComparison.Ordinal);
    }

    [Fact]
    public void Load_NoAssembly_IsRefusedNotThrown()
    {
        var file = Install();
        File.WriteAllText(file, "no assembly");

        var digest = Convert.ToHexStringLower(SHA256.HashData(File.ReadAllBytes(file)));

        Assert.Contains("cannot be loaded: BadImageFormatException", Assert.Single(Load(digest).Refused), StringComparison.Ordinal);
    }

    [Fact]
    public void Load_AllowedAndAbsent_IsSaid() => Assert.Contains("is allowed and", Assert.Single(Load(new string('a', 64)).Refused), StringComparison.Ordinal);

    [Fact]
    public void BuiltIn_Names_AreThoseThatTheGatewayKnows()
    {
        Assert.Equal(BuiltInAlgorithms.Losses, AlgorithmRegistry.BuiltIn.Names(AlgorithmKind.Loss));
        Assert.Equal(BuiltInAlgorithms.Optimizers, AlgorithmRegistry.BuiltIn.Names(AlgorithmKind.Optimizer));
        Assert.Equal(BuiltInAlgorithms.Schedules, AlgorithmRegistry.BuiltIn.Names(AlgorithmKind.Scheduler));
        Assert.Equal(BuiltInAlgorithms.Metrics, AlgorithmRegistry.BuiltIn.Names(AlgorithmKind.Metric).Concat(LikelihoodMetrics.All).Order(StringComparer.Ordinal));
    }

    [Fact]
    public void Load_NoFolder_IsWhatIsBuiltIn() => Assert.Empty(PluginFolder.Load(temp["none"], new Dictionary<string, string>()).Refused);

    private string Install()
    {
        var folder = Directory.CreateDirectory(Path.Combine(temp["plugins"], BuiltPlugin.Name)).FullName;
        var file = Path.Combine(folder, $"{BuiltPlugin.Name}.dll");
        File.Copy(built.Assembly, file);
        return file;
    }

    private AlgorithmRegistry Load(string? digest) =>
        PluginFolder.Load(temp["plugins"], digest is null ? new Dictionary<string, string>() : new Dictionary<string, string> { [BuiltPlugin.Name] = digest });

    private async Task<(TrainingOutcome Outcome, double First)> TrainAsync(AlgorithmRegistry registry, string loss)
    {
        var first = new TaskCompletionSource<double>();
        var outcome = await new RecipeTraining(TimeProvider.System, registry).RunAsync(
            new()
            {
                ModelFolder = temp["base"],
                TrainRows = [.. Enumerable.Range(0, 8).Select(i => new ChatExample([new("user", $"{i}?"), new(ChatMessage.AssistantRole, $"It is {i % 3} apples.")]))],
                ValidationRows = [],
                OutputFolder = temp[Guid.NewGuid().ToString("N")],
                Recipe = new() { MaxSteps = 2, Loss = loss },
                Threads = 1,
            },
            new First(first),
            Cancellation);
        return (outcome, await first.Task);
    }

    private sealed class First(TaskCompletionSource<double> loss) : IProgress<TrainingProgress>
    {
        public void Report(TrainingProgress value)
        {
            if (value.Stage == TrainingStages.Train) loss.TrySetResult(value.Metrics[TrainingMetrics.Loss]);
        }
    }
}
