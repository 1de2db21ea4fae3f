using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using ModelOps.Recipes;
using ModelOps.Registry;
using ModelOps.Server.Deployments;
using ModelOps.Server.Files;
using ModelOps.Server.OpenAI;
using ModelOps.Tables.Datasets;
using ModelOps.Workflows;

namespace ModelOps.Server.FineTuning;

/// <summary>What a request to fine-tune means; all that is wrong with it is told at once.</summary>
public sealed partial class FineTuningRequests(ArtifactRegistry registry, FileStore files, FineTuningOptions options, DeploymentOptions deployments)
{
    private const int MostEpochs = 50;
    private const int LargestBatch = 256;
    private const double LargestMultiplier = 1000;
    private const int MostMetadata = 16;
    private const int LongestKey = 64;
    private const int LongestValue = 512;

    // Rows were judged when the file was uploaded. What the user says is for training is trained on, and nothing of it is kept back.
    private static readonly IngestionOptions training = new() { Format = "jsonl", Validation = 0, Test = 0, MaxBad = "0" };
    private static readonly IngestionOptions validation = training with { Validation = 1 };

    /// <returns>Null: there is a fault.</returns>
    internal async Task<FineTuningInput?> ReadAsync(CreateFineTuningJob create, ApiPrincipal creator, Faults faults, CancellationToken cancellationToken)
    {
        var model = await BaseAsync(create.Model, faults, cancellationToken);
        var rows = await FileAsync("training_file", create.TrainingFile, creator, faults, cancellationToken);
        var validationRows = create.ValidationFile is { } file ? await FileAsync("validation_file", file, creator, faults, cancellationToken) : null;
        var (seed, hyperparameters) = (Seed(create.Seed, faults), Hyperparameters(create, faults));
        CheckRest(create, faults);
        if (faults.Any) return null;
        return new(
            create.Model,
            model!,
            rows!,
            Json(training),
            Recipe(hyperparameters, seed),
            options.Quantization,
            options.Organization,
            JsonSerializer.SerializeToElement(Canonical(hyperparameters), OpenAIJson.Default.FineTuningMethod),
            seed,
            creator.Name)
        {
            ValidationFile = validationRows,
            ValidationIngestion = validationRows is null ? null : Json(validation),
            Suffix = create.Suffix,
            Metadata = create.Metadata,
        };
    }

    /// <returns>Pinned; null: there is a fault.</returns>
    private async Task<string?> BaseAsync(string model, Faults faults, CancellationToken cancellationToken)
    {
        if (deployments.RequiredStage != RequiredStage.None)
            faults.Add("model", $"cannot be fine-tuned here: the result is served at once, and deployments:required_stage wants {deployments.RequiredStage.ToString().ToLowerInvariant()} first. Use 'modelops train', 'quantize', 'artifacts promote' and 'deploy'");
        if (FineTunedModel.Parse(model) is { } tuned)
        {
            faults.Add("model", $"{model} is fine-tuned already; fine-tune {tuned.Base} with the rows of both");
            return null;
        }
        switch (await registry.GetAsync(model, cancellationToken))
        {
            case null:
                faults.Add("model", $"{model} is not there; 'modelops models list' shows the models that can be fine-tuned, 'modelops models pull' brings one");
                return null;
            case { Manifest: { Kind: not ArtifactKinds.Model } other }:
                faults.Add("model", $"{model} is a {other.Kind}; needed is a model in Hugging Face layout, and 'modelops models list' shows those that are there");
                return null;
            case var found:
                return found.Manifest.Reference;
        }
    }

    private async Task<UploadedFile?> FileAsync(string param, string id, ApiPrincipal reader, Faults faults, CancellationToken cancellationToken)
    {
        if (await files.GetAsync(id, reader, cancellationToken) is not { } file)
        {
            faults.Add(param, $"{id} is no file of yours; upload it to /v1/files with the purpose {FilePurposes.FineTune}");
            return null;
        }
        if (file.Purpose != FilePurposes.FineTune)
            faults.Add(param, $"{id} has the purpose {file.Purpose}; needed is {FilePurposes.FineTune}");
        return new(file.Id, new StoredFile(file.FileName.Length > 0 ? file.FileName : file.Id, file.Size, file.Sha256));
    }

    private static int Seed(long? seed, Faults faults)
    {
        faults.Check("seed", seed, value => value is >= 0 and <= int.MaxValue, $"from 0 to {int.MaxValue}");
        return (int)(seed is >= 0 and <= int.MaxValue ? seed.Value : ModelOps.Recipes.Recipe.DefaultSeed);
    }

    private static FineTuningHyperparameters Hyperparameters(CreateFineTuningJob create, Faults faults)
    {
        var (older, method) = (create.Hyperparameters, create.Method);
        if (method is { Type: "dpo" or "reinforcement" }) faults.Add("method.type", $"{method.Type} is not offered yet; this server fine-tunes with the method supervised");
        else if (method is not (null or { Type: "supervised" })) faults.Add("method.type", $"must be supervised, not '{method.Type}'");
        else RefuseOthers("method", method?.Others, faults);
        RefuseOthers("method.supervised", method?.Supervised?.Others, faults);
        if (older is not null && method?.Supervised?.Hyperparameters is not null) faults.Add("hyperparameters", "and method.supervised.hyperparameters say the same; give one");
        var (path, given) = older is null ? ("method.supervised.hyperparameters", method?.Supervised?.Hyperparameters ?? new()) : ("hyperparameters", older);
        RefuseOthers(path, given.Others, faults);
        Check($"{path}.n_epochs", given.NEpochs, value => IsWhole(value, MostEpochs), $"a whole number from 1 to {MostEpochs}", faults);
        Check($"{path}.batch_size", given.BatchSize, value => IsWhole(value, LargestBatch), $"a whole number from 1 to {LargestBatch}", faults);
        Check(
            $"{path}.learning_rate_multiplier", given.LearningRateMultiplier, value => value.TryGetDouble(out var factor) && factor is > 0 and <= LargestMultiplier,
            $"a number above 0 and up to {LargestMultiplier}", faults);
        return given;
    }

    private static void Check(string param, JsonElement? value, Func<JsonElement, bool> rule, string allowed, Faults faults)
    {
        if (!IsAuto(value) && !(value is { ValueKind: JsonValueKind.Number } number && rule(number))) faults.Add(param, $"must be auto or {allowed}, not {value!.Value.GetRawText()}");
    }

    private static void CheckRest(CreateFineTuningJob create, Faults faults)
    {
        if (create.Suffix is { } suffix && !Suffix().IsMatch(suffix)) faults.Add("suffix", $"must be 1 to 64 of letters, digits, '.', '_' and '-', not '{suffix}'");
        if (create.Integrations is { Count: > 0 } integrations)
            faults.Add("integrations", $"{string.Join(", ", integrations.Select(TypeOf).Distinct())} is not offered; the course of the training is in the job's events and in its result file");
        if (create.Metadata is { } metadata)
        {
            if (metadata.Count > MostMetadata) faults.Add("metadata", $"must have {MostMetadata} pairs at most, not {metadata.Count}");
            foreach (var (key, value) in metadata)
            {
                if (key.Length > LongestKey) faults.Add($"metadata.{key}", $"must have a key of {LongestKey} characters at most");
                if (value is null || value.Length > LongestValue) faults.Add($"metadata.{key}", $"must be a text of {LongestValue} characters at most");
            }
        }
        RefuseOthers("", create.Others, faults);
    }

    private static void RefuseOthers(string path, IDictionary<string, JsonElement>? others, Faults faults)
    {
        foreach (var (name, value) in others ?? new Dictionary<string, JsonElement>())
            if (value.ValueKind != JsonValueKind.Null) faults.Add(path.Length > 0 ? $"{path}.{name}" : name, "is not offered by this server; leave it out");
    }

    private static FineTuningMethod Canonical(FineTuningHyperparameters given)
    {
        var auto = JsonElement.Parse("\"auto\"");
        JsonElement Or(JsonElement? value) => IsAuto(value) ? auto : value!.Value;
        return new()
        {
            Type = "supervised",
            Supervised = new()
            {
                Hyperparameters = new() { NEpochs = Or(given.NEpochs), BatchSize = Or(given.BatchSize), LearningRateMultiplier = Or(given.LearningRateMultiplier) },
            },
        };
    }

    private static JsonElement Recipe(FineTuningHyperparameters given, int seed)
    {
        var recipe = new JsonObject { ["method"] = "lora", ["seed"] = seed };
        void Say(string key, JsonElement? value)
        {
            if (!IsAuto(value)) recipe[key] = JsonNode.Parse(value!.Value.GetRawText());
        }
        Say("epochs", given.NEpochs);
        Say("batch_size", given.BatchSize);
        Say("learning_rate_multiplier", given.LearningRateMultiplier);
        return RecipeFile.Parse(recipe.ToJsonString()) is RecipeReading.Read read
            ? read.Written
            : throw new InvalidOperationException("hyperparameters that were checked make no recipe");
    }

    private static bool IsAuto(JsonElement? value) =>
        value is null or { ValueKind: JsonValueKind.Null } || (value is { ValueKind: JsonValueKind.String } text && text.ValueEquals("auto"));

    private static bool IsWhole(JsonElement value, int most) => value.TryGetInt32(out var whole) && whole >= 1 && whole <= most;

    private static string TypeOf(JsonElement integration) =>
        integration.ValueKind == JsonValueKind.Object && integration.TryGetProperty("type", out var type) ? type.ToString() : integration.GetRawText();

    private static JsonElement Json(IngestionOptions of) => JsonSerializer.SerializeToElement(of, IngestionJson.Default.IngestionOptions);

    [GeneratedRegex(@"\A[A-Za-z0-9._-]{1,64}\z", RegexOptions.None, 1000)]
    private static partial Regex Suffix();
}
