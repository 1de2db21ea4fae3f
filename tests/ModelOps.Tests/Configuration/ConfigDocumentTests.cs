using System.Text.Json;
using System.Text.Json.Nodes;
using ModelOps.Server.Configuration;
using ModelOps.Server.Hosting;
using ModelOps.Tests.Repository;

namespace ModelOps.Tests.Configuration;

/// <summary>What the repository says of the configuration is what the option records say.</summary>
public sealed class ConfigDocumentTests
{
    private const string Generated = "<!-- generated -->\n";

    [Fact]
    public void Schema_InDocs_IsCurrent()
    {
        var file = File.ReadAllText(Path.Combine(RepositoryRoot.Path, "docs/modelops.schema.json"));
        Assert.True(file == ConfigDocuments.Schema() + "\n", "write it anew: ModelOps.Server config schema > docs/modelops.schema.json");
    }

    [Fact]
    public void Table_InDocs_IsCurrent()
    {
        var file = File.ReadAllText(Path.Combine(RepositoryRoot.Path, "docs/configuration.md"));
        var table = file[(file.IndexOf(Generated, StringComparison.Ordinal) + Generated.Length)..];
        Assert.True(table == ConfigDocuments.Table() + "\n", "write the part behind the mark anew: ModelOps.Server config table");
    }

    [Fact]
    public void Schema_OfEveryKey_HasADescription()
    {
        var schema = JsonNode.Parse(ConfigDocuments.Schema())!;
        Assert.NotEmpty(Keys(schema, "").ToList());
        Assert.All(Keys(schema, ""), key => Assert.False(string.IsNullOrEmpty(key.Description), $"{key.Key} has no summary"));
    }

    [Fact]
    public void Show_WithAnInvalidFile_StillTellsTheValuesAndTheFaults()
    {
        var home = Directory.CreateTempSubdirectory("modelops-config-");
        try
        {
            File.WriteAllText(Path.Combine(home.FullName, ServerConfig.FileName), """{ "listen": { "port": -1 } }""");
            var errors = new List<string>();
            var environment = new Dictionary<string, string>(StringComparer.Ordinal);
            var arguments = ServerArguments.Parse(["--home", home.FullName], environment, errors);
            using var shown = JsonDocument.Parse(ConfigDocuments.Effective(ServerConfig.Load(arguments, environment)));
            Assert.False(shown.RootElement.GetProperty("valid").GetBoolean());
            Assert.Contains("listen:port is '-1'", Assert.Single(shown.RootElement.GetProperty("errors").EnumerateArray()).GetString(), StringComparison.Ordinal);
            Assert.Contains(shown.RootElement.GetProperty("values").EnumerateArray(), value => value.GetProperty("key").GetString() == "telemetry:logs");
        }
        finally
        {
            home.Delete(recursive: true);
        }
    }

    private static IEnumerable<(string Key, string? Description)> Keys(JsonNode schema, string key) =>
        schema["properties"] is JsonObject properties
            ? properties.Where(property => property.Key != "$schema").SelectMany(property =>
                Keys(property.Value!, $"{key}:{property.Key}").Prepend(($"{key}:{property.Key}", (string?)property.Value!["description"])))
            : [];
}
