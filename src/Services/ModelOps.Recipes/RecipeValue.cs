using System.Globalization;
using System.Text.Json.Nodes;

namespace ModelOps.Recipes;

/// <summary>What a key takes.</summary>
/// <param name="Takes">For people: "a whole number from 1 to 4096".</param>
/// <param name="Read">The value of a written scalar; null if it is none.</param>
/// <param name="Schema">As JSON schema.</param>
internal sealed record RecipeValue(string Takes, Func<string, object?> Read, Func<JsonObject> Schema)
{
    /// <summary>Whether a list of scalars may stand for one, joined by commas.</summary>
    public bool TakesList { get; private init; }

    public static RecipeValue Whole(int least, int most) => new(
        string.Create(CultureInfo.InvariantCulture, $"a whole number from {least} to {most}"),
        text => int.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var value) && value >= least && value <= most ? value : null,
        () => new() { ["type"] = "integer", ["minimum"] = least, ["maximum"] = most });

    public static RecipeValue Number(double least, double most, bool leastExcluded = false) => new(
        string.Create(CultureInfo.InvariantCulture, $"a number {(leastExcluded ? "above" : "from")} {least} {(leastExcluded ? "and up to" : "to")} {most}"),
        text => double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var value) && value <= most && (leastExcluded ? value > least : value >= least) ? value : null,
        () => new() { ["type"] = "number", [leastExcluded ? "exclusiveMinimum" : "minimum"] = least, ["maximum"] = most });

    public static RecipeValue Flag() => new(
        "true or false",
        text => text switch { "true" => true, "false" => false, _ => null },
        () => new() { ["type"] = "boolean" });

    public static RecipeValue OneOf<T>()
        where T : struct, Enum
    {
        var names = Enum.GetValues<T>().Select(value => NameOf(value)).ToArray();
        return new(
            $"one of {string.Join(", ", names)}",
            text => Array.IndexOf(names, text) is >= 0 and var index ? Enum.GetValues<T>()[index] : null,
            () => new() { ["enum"] = new JsonArray([.. names.Select(name => JsonValue.Create(name))]) });
    }

    /// <summary>As a recipe has it.</summary>
    public static string NameOf<T>(T choice)
        where T : Enum => choice.ToString().ToLowerInvariant();

    /// <summary>Of what plugins have too: which names there are, only the worker knows that has loaded them.</summary>
    public static RecipeValue Algorithm() => new(
        "a name, or name(option=number, …)",
        text => AlgorithmChoice.TryParse(text) is null ? null : text,
        () => new() { ["type"] = "string", ["pattern"] = AlgorithmChoice.Pattern });

    public static RecipeValue Names() => new(
        "names separated by commas, or a list of them",
        text => text.Split(',').All(name => name.Trim().Length > 0) ? text : null,
        () => new()
        {
            ["anyOf"] = new JsonArray(
                new JsonObject { ["type"] = "string", ["minLength"] = 1 },
                new JsonObject { ["type"] = "array", ["items"] = new JsonObject { ["type"] = "string", ["minLength"] = 1 }, ["minItems"] = 1 }),
        })
    {
        TakesList = true,
    };
}
