using System.CommandLine;
using System.Reflection;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Schema;
using System.Text.Json.Serialization.Metadata;
using System.Xml.Linq;
using ModelOps.Client;
using ModelOps.Tests.Repository;

namespace ModelOps.Tests.Cli;

/// <summary>docs/cli.md and docs/cli/*.schema.json say what the command line says of itself.</summary>
public sealed class CliDocumentTests
{
    private const string Tests = "CliDocument";
    private static readonly JsonSerializerOptions readable = new() { WriteIndented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    [Fact]
    public void Documents_OfEveryCommand_AreKnown() =>
        Assert.Equal(CliDocuments.All.Keys, CliDocuments.Leaves().Select(command => command.Path).Order(StringComparer.Ordinal));

    [Fact]
    public void Schemas_InDocs_AreCurrent()
    {
        var types = CliDocuments.All.Values.OfType<JsonTypeInfo>().DistinctBy(type => type.Type).Append(WireJson.Default.Problem).ToList();
        foreach (var type in types) GeneratedFile.AssertCurrent($"docs/cli/{SchemaFile(type)}", Schema(type), Tests);
        GeneratedFile.AssertNoOthers("docs/cli", "*", types.Select(SchemaFile));
    }

    [Fact]
    public async Task Reference_InDocs_IsCurrent()
    {
        var text = new StringBuilder(
            """
            # The command line

            Every command has `--json`: one document on stdout and nothing else, with the schema named below; an error is a
            [problem](cli/problem.schema.json) on stderr. Exit codes: 0 done, 1 failed, 2 usage, 3 not found, 4 not allowed, 5 conflict, 6 verification
            failed, 7 server unreachable, 130 interrupted.

            """);
        text.Append('\n').Append(Block((await CliRun.Of([], cancellationToken: TestContext.Current.CancellationToken)).Out));
        foreach (var (path, _) in CliDocuments.Commands().Prepend(("", new RootCommand())))
        {
            var run = await CliRun.Of([.. path.Split(' ', StringSplitOptions.RemoveEmptyEntries), "--help"], cancellationToken: TestContext.Current.CancellationToken);
            text.Append($"\n## {$"modelops {path}".Trim()}\n\n").Append(Block(run.Out.Replace($"  {RootCommand.ExecutableName}", "  modelops", StringComparison.Ordinal)));
            if (CliDocuments.All.GetValueOrDefault(path) is { } type) text.Append($"\n`--json` writes a [{NameOf(type.Type)}](cli/{SchemaFile(type)}).\n");
        }
        GeneratedFile.AssertCurrent("docs/cli.md", text.ToString(), Tests);
    }

    private static string Block(string text) => $"```text\n{string.Join('\n', text.Trim().Split('\n').Select(line => line.TrimEnd()))}\n```\n";

    private static string SchemaFile(JsonTypeInfo type) => $"{JsonNamingPolicy.KebabCaseLower.ConvertName(NameOf(type.Type))}.schema.json";

    private static string NameOf(Type type) =>
        type.IsGenericType ? $"{type.Name[..type.Name.IndexOf('`', StringComparison.Ordinal)]}{NameOf(type.GetGenericArguments()[0])}" : type.Name;

    private static string Schema(JsonTypeInfo type)
    {
        var options = new JsonSchemaExporterOptions { TreatNullObliviousAsNonNullable = true, TransformSchemaNode = Describe };
        var schema = type.GetJsonSchemaAsNode(options).AsObject();
        schema.Insert(0, "title", NameOf(type.Type));
        schema.Insert(0, "$schema", "https://json-schema.org/draft/2020-12/schema");
        return schema.ToJsonString(readable) + "\n";
    }

    private static JsonNode Describe(JsonSchemaExporterContext context, JsonNode schema)
    {
        if (schema is JsonObject { } type && type["required"] is JsonArray required && type["properties"] is JsonObject properties)
            foreach (var name in required.Where(name => MayBeNull(properties[name!.GetValue<string>()]!)).ToList()) required.Remove(name);
        if (schema is JsonObject described && context.PropertyInfo?.AttributeProvider is MemberInfo member && Summary(member) is { } summary)
            described.Insert(0, "description", summary);
        return schema;
    }

    // Nulls are not written.
    private static bool MayBeNull(JsonNode property) =>
        property is JsonObject members && members["type"] is JsonArray types && types.Any(type => type!.GetValue<string>() == "null");

    /// <summary>From the compiler's documentation file: the property's summary, or its parameter's in a positional record.</summary>
    private static string? Summary(MemberInfo member)
    {
        var type = member.DeclaringType!;
        var name = (type.IsGenericType ? type.GetGenericTypeDefinition() : type).FullName!.Replace('+', '.');
        var members = XDocument.Load(Path.ChangeExtension(type.Assembly.Location, ".xml")).Descendants("member").ToList();
        var element = members.Find(entry => entry.Attribute("name")!.Value == $"P:{name}.{member.Name}")?.Element("summary")
            ?? members.Find(entry => entry.Attribute("name")!.Value == $"T:{name}")?.Elements("param").FirstOrDefault(param => param.Attribute("name")!.Value == member.Name);
        if (element is null) return null;
        var words = element.DescendantNodes().Select(node => node switch
        {
            XText text => text.Value,
            XElement { Name.LocalName: "see" or "paramref" } see => (see.Attribute("cref") ?? see.Attribute("name"))?.Value.Split('.', ':')[^1] ?? "",
            _ => "",
        });
        return string.Join(' ', string.Concat(words).Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries));
    }
}
