using System.Globalization;
using System.Text.Json;
using ModelOps.Client;
using ModelOps.Recipes;

namespace ModelOps.Server.Training;

/// <summary>The recipe of a training that is asked for.</summary>
internal static class TrainingRecipes
{
    /// <param name="errors">Every fault is added; then the result is not to be used.</param>
    /// <returns>All that the request says, and that by a recipe's keys; null where there is a fault.</returns>
    public static RecipeReading.Read? Read(CreateTraining create, List<string> errors)
    {
        if (Text(create.Recipe) is not { } text)
        {
            errors.Add("recipe must be an object of a recipe's keys, or the text of a recipe file");
            text = "";
        }
        switch (RecipeFile.Parse(text, Settings(create)))
        {
            case RecipeReading.Read read:
                return read;
            case RecipeReading.Invalid invalid:
                errors.AddRange(invalid.Errors);
                return null;
            default:
                throw new InvalidOperationException("unknown outcome of reading a recipe");
        }
    }

    private static string? Text(JsonElement? recipe) => recipe switch
    {
        null or { ValueKind: JsonValueKind.Null } => "",
        { ValueKind: JsonValueKind.Object } map => map.GetRawText(),
        { ValueKind: JsonValueKind.String } text => text.GetString(),
        _ => null,
    };

    private static IEnumerable<RecipeSetting> Settings(CreateTraining create) =>
        from said in new (string Key, IConvertible? Value)[]
        {
            ("method", create.Method),
            ("initialization", create.Initialization),
            ("epochs", create.Epochs),
            ("max_steps", create.MaxSteps),
            ("rank", create.Rank),
            ("learning_rate", create.LearningRate),
            ("batch_size", create.BatchSize),
            ("sequence_length", create.SequenceLength),
            ("seed", create.Seed),
        }
        where said.Value is not null
        select new RecipeSetting(said.Key, said.Value.ToString(CultureInfo.InvariantCulture));
}
