using System.Text.Json;
using ModelOps.Recipes;

namespace ModelOps.Services.Tests.Training;

/// <summary>docs/recipe.schema.json and the table in docs/training.md are what the recipe's fields say; written anew with <c>MODELOPS_WRITE_DOCS=true</c>.</summary>
public class RecipeDocumentTests
{
    private const string Begin = "<!-- keys -->\n";
    private const string End = "<!-- /keys -->";
    private static readonly JsonSerializerOptions indented = new() { WriteIndented = true };

    [Fact]
    public void Schema_InDocs_IsCurrent() => AssertCurrent("docs/recipe.schema.json", _ => RecipeDocuments.Schema().ToJsonString(indented) + "\n");

    [Fact]
    public void Table_InDocs_IsCurrent() => AssertCurrent("docs/training.md", text =>
        text[..(text.IndexOf(Begin, StringComparison.Ordinal) + Begin.Length)] + "\n" + RecipeDocuments.Table() + "\n" + text[text.IndexOf(End, StringComparison.Ordinal)..]);

    private static void AssertCurrent(string path, Func<string, string> make)
    {
        var file = Path.Combine(TestPaths.Repository, path);
        var present = File.Exists(file) ? File.ReadAllText(file) : "";
        if (Environment.GetEnvironmentVariable("MODELOPS_WRITE_DOCS") == "true") File.WriteAllText(file, make(present));
        else Assert.True(make(present) == present, $"{path} is not current; write it anew: MODELOPS_WRITE_DOCS=true ./test RecipeDocument");
    }
}
