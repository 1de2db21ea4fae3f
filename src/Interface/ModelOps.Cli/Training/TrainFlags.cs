using System.CommandLine;
using System.Text.Json;
using ModelOps.Cli.Datasets;
using ModelOps.Client;

namespace ModelOps.Cli.Training;

/// <summary>What a way of training has of its own.</summary>
internal sealed record MethodFlags
{
    public string? Method { get; init; }

    public string? Initialization { get; init; }

    public int? Rank { get; init; }
}

/// <summary>The options that every way of training has.</summary>
internal sealed class TrainFlags
{
    private readonly Option<string> model = new("--base") { Description = "Model to start from, name or name@version", HelpName = "MODEL", Required = true };
    private readonly Option<string> dataset = new("--dataset") { Description = "Dataset, name or name@version", HelpName = "DATASET", Required = true };
    private readonly Option<string> name;
    private readonly Option<string?> recipe = new("--recipe") { Description = "Recipe, YAML or JSON; other options win over what it says of the same key", HelpName = "FILE" };
    private readonly Option<int?> epochs = Count("--epochs", "Passes over the training split");
    private readonly Option<int?> maxSteps = Count("--max-steps", "Optimizer steps at most");
    private readonly Option<double?> learningRate = new("--learning-rate") { Description = "Peak learning rate", HelpName = "RATE" };
    private readonly Option<int?> batchSize = Count("--batch-size", "Packed sequences per step");
    private readonly Option<int?> sequenceLength = Count("--sequence-length", "Tokens per packed sequence");
    private readonly Option<int?> seed = new("--seed") { Description = "Seed of data order and initialization", HelpName = "N" };

    /// <param name="made">What <c>--name</c> names.</param>
    public TrainFlags(string made)
    {
        name = new("--name") { Description = made, Required = true };
        learningRate.Validators.Add(result =>
        {
            if (result.GetValueOrDefault<double?>() is not > 0)
            {
                result.AddError("--learning-rate must be greater than 0.");
            }
        });
    }

    public IReadOnlyList<Option> First => [model, dataset, name, recipe];

    public IReadOnlyList<Option> Rest => [epochs, maxSteps, learningRate, batchSize, sequenceLength, seed];

    public async Task<CreateTraining> ReadAsync(Invocation invocation, MethodFlags own, CancellationToken cancellationToken) => new()
    {
        Base = invocation.Get(model)!,
        Dataset = invocation.Get(dataset)!,
        Name = invocation.Get(name)!,
        Recipe = await RecipeAsync(invocation.Get(recipe), cancellationToken),
        Method = own.Method,
        Initialization = own.Initialization,
        Epochs = invocation.Get(epochs),
        MaxSteps = invocation.Get(maxSteps),
        Rank = own.Rank,
        LearningRate = invocation.Get(learningRate),
        BatchSize = invocation.Get(batchSize),
        SequenceLength = invocation.Get(sequenceLength),
        Seed = invocation.Get(seed),
    };

    public static Option<int?> Count(string name, string description)
    {
        var option = new Option<int?>(name) { Description = description, HelpName = "N" };
        option.Validators.Add(result =>
        {
            if (result.GetValueOrDefault<int?>() is not > 0)
            {
                result.AddError($"{name} must be greater than 0.");
            }
        });
        return option;
    }

    /// <summary>The text of a recipe file: the server reads it, and knows its keys.</summary>
    private static async Task<JsonElement?> RecipeAsync(string? path, CancellationToken cancellationToken)
    {
        if (path is null)
        {
            return null;
        }
        DatasetsCommand.RequireFile(path);
        return JsonSerializer.SerializeToElement(await File.ReadAllTextAsync(path, cancellationToken), WireJson.Default.String);
    }
}
