using System.ComponentModel.DataAnnotations;
using System.Reflection;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using System.Xml.Linq;

namespace ModelOps.Server.Configuration;

/// <summary>What is told of the configuration, all from the option records and their doc comments.</summary>
public static partial class ConfigDocuments
{
    private static readonly JsonSerializerOptions readable = new() { WriteIndented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>The effective configuration as one JSON document: <c>valid</c>, <c>values</c>, <c>errors</c>.</summary>
    public static string Effective(Bound<ServerConfig> bound) => new JsonObject
    {
        ["valid"] = bound.Errors.Count == 0,
        ["values"] = new JsonArray([.. bound.Entries.Select(entry => new JsonObject
        {
            ["key"] = entry.Key,
            ["value"] = entry.Value,
            ["source"] = entry.Source,
            ["secret"] = entry.Secret,
        })]),
        ["errors"] = new JsonArray([.. bound.Errors.Select(error => JsonValue.Create(error))]),
    }.ToJsonString(readable);

    /// <summary>JSON schema (draft 2020-12) of modelops.json.</summary>
    public static string Schema()
    {
        var docs = new DocComments();
        var schema = Schema(ConfigNode.Of(typeof(ServerConfig)), [], new ServerConfig(), docs);
        schema.Insert(0, "$schema", "https://json-schema.org/draft/2020-12/schema");
        schema.Insert(1, "title", "modelops.json, the configuration of a ModelOps server");
        schema["properties"]!["$schema"] = new JsonObject { ["type"] = "string" };
        return schema.ToJsonString(readable);
    }

    /// <summary>A Markdown table per section.</summary>
    public static string Table()
    {
        var docs = new DocComments();
        var text = new StringBuilder();
        foreach (var property in ((ConfigNode.Section)ConfigNode.Of(typeof(ServerConfig))).Properties)
        {
            // A section, or sections with names of the user's.
            var (section, name) = property.Node is ConfigNode.Map map ? ((ConfigNode.Section)map.Element, property.Name + ":NAME") : ((ConfigNode.Section)property.Node, property.Name);
            text.Append($"## {property.Name}\n\n{docs.Of(section.Type)}\n\n");
            text.Append("| key | default | allowed | what it is |\n|---|---|---|---|\n");
            AppendRows(text, section, name, property.Node is ConfigNode.Map ? Activator.CreateInstance(section.Type) : property.Property.GetValue(new ServerConfig()), docs);
            text.Append('\n');
        }
        return text.ToString().TrimEnd('\n');
    }

    private static void AppendRows(StringBuilder text, ConfigNode node, string key, object? defaults, DocComments docs)
    {
        foreach (var property in ((ConfigNode.Section)node).Properties)
        {
            var name = $"{key}:{property.Name}";
            var value = defaults is null ? null : property.Property.GetValue(defaults);
            switch (property.Node)
            {
                case ConfigNode.Section:
                    AppendRows(text, property.Node, name, value, docs);
                    break;
                case ConfigNode.Items { Element: ConfigNode.Section } items:
                    AppendRows(text, items.Element, name + ":N", null, docs);
                    break;
                case ConfigNode.Map { Element: ConfigNode.Section } map:
                    AppendRows(text, map.Element, name + ":NAME", null, docs);
                    break;
                default:
                    var shown = property.Required ? "required" : ConfigText.Format(value) is { Length: > 0 } some ? $"`{some}`" : "not set";
                    var path = property.Node is ConfigNode.Map ? name + ":NAME" : name;
                    text.Append($"| `{path}` | {shown} | {Allowed(property)} | {docs.Of(property.Property)}{(property.Secret ? " Secret." : "")} |\n");
                    break;
            }
        }
    }

    private static string Allowed(ConfigProperty property)
    {
        var rules = property.Rules.Select(ConfigText.Allowed).OfType<string>().ToList();
        var scalar = property.Node switch
        {
            ConfigNode.Items { Element: ConfigNode.Scalar element } => "a list of " + ConfigText.Kind(element.Type),
            ConfigNode.Map { Element: ConfigNode.Scalar element } => ConfigText.Kind(element.Type),
            ConfigNode.Scalar element => ConfigText.Kind(element.Type),
            _ => "",
        };
        return string.Join(", ", rules.Prepend(scalar)).Replace("|", "\\|", StringComparison.Ordinal);
    }

    private static JsonObject Schema(ConfigNode node, IReadOnlyList<ValidationAttribute> rules, object? value, DocComments docs) => node switch
    {
        ConfigNode.Section section => SectionSchema(section, value, docs),
        ConfigNode.Items items => new JsonObject { ["type"] = "array", ["items"] = Schema(items.Element, [], null, docs) },
        ConfigNode.Map map => new JsonObject { ["type"] = "object", ["additionalProperties"] = Schema(map.Element, [], null, docs) },
        ConfigNode.Scalar scalar => ScalarSchema(scalar.Type, rules),
        _ => throw new InvalidOperationException($"unknown node {node}"),
    };

    private static JsonObject SectionSchema(ConfigNode.Section section, object? defaults, DocComments docs)
    {
        var properties = new JsonObject();
        foreach (var property in section.Properties)
        {
            var value = defaults is null ? null : property.Property.GetValue(defaults);
            var schema = Schema(property.Node, property.Rules, value, docs);
            schema["description"] = docs.Of(property.Property) is { Length: > 0 } text ? text
                : property.Node switch
                {
                    ConfigNode.Section below => docs.Of(below.Type),
                    ConfigNode.Map { Element: ConfigNode.Section below } => docs.Of(below.Type),
                    _ => "",
                };
            if (property.Node is ConfigNode.Scalar && value is not null) schema["default"] = JsonValueOf(value);
            properties[property.Name] = schema;
        }
        var result = new JsonObject { ["type"] = "object", ["additionalProperties"] = false, ["properties"] = properties };
        // What is required may also come from the environment: the file alone need not have it.
        return result;
    }

    private static JsonObject ScalarSchema(Type type, IReadOnlyList<ValidationAttribute> rules)
    {
        var schema = new JsonObject
        {
            ["type"] = Type.GetTypeCode(type) switch
            {
                _ when type.IsEnum => "string",
                TypeCode.Boolean => "boolean",
                TypeCode.Single or TypeCode.Double or TypeCode.Decimal => "number",
                TypeCode.String or TypeCode.Char or TypeCode.Object or TypeCode.DateTime => "string",
                _ => "integer",
            },
        };
        if (type.IsEnum) schema["enum"] = new JsonArray([.. ConfigText.Names(type).Select(name => JsonValue.Create(name))]);
        if (type == typeof(Uri)) schema["format"] = "uri";
        if (type == typeof(TimeSpan)) schema["pattern"] = @"^(\d+(\.\d+)?(ms|s|m|h|d)|(\d+\.)?\d\d:\d\d:\d\d(\.\d+)?)$";
        if (type == typeof(TimeSpan)) return schema; // a range of times cannot be said of their text
        foreach (var rule in rules)
            switch (rule)
            {
                case RangeAttribute range:
                    schema["minimum"] = JsonValueOf(range.Minimum);
                    schema["maximum"] = JsonValueOf(range.Maximum);
                    break;
                case RegularExpressionAttribute pattern:
                    schema["pattern"] = pattern.Pattern;
                    break;
                case AllowedValuesAttribute values:
                    schema["enum"] = new JsonArray([.. values.Values.OfType<object>().Select(JsonValueOf)]);
                    break;
                default:
                    break;
            }
        return schema;
    }

    private static JsonNode? JsonValueOf(object value) => value switch
    {
        bool flag => JsonValue.Create(flag),
        int or long or double or float or decimal or short or byte => JsonNode.Parse(ConfigText.Format(value)!),
        _ => JsonValue.Create(ConfigText.Format(value)),
    };

    /// <summary>The summaries of the doc comments, which the build lays beside each assembly.</summary>
    private sealed partial class DocComments
    {
        private readonly Dictionary<Assembly, Dictionary<string, string>> files = [];

        public string Of(Type type) => Find(type.Assembly, $"T:{type.FullName}");

        public string Of(PropertyInfo property) => Find(property.DeclaringType!.Assembly, $"P:{property.DeclaringType.FullName}.{property.Name}");

        private string Find(Assembly assembly, string member)
        {
            if (!files.TryGetValue(assembly, out var summaries)) files[assembly] = summaries = Read(assembly);
            return summaries.GetValueOrDefault(member, "");
        }

        private static Dictionary<string, string> Read(Assembly assembly) =>
            XDocument.Load(Path.ChangeExtension(assembly.Location, ".xml")).Descendants("member")
                .Where(member => member.Element("summary") is not null)
                .ToDictionary(member => member.Attribute("name")!.Value, member => Text(member.Element("summary")!), StringComparer.Ordinal);

        private static string Text(XElement summary)
        {
            foreach (var code in summary.Descendants("c").ToList()) code.ReplaceWith(new XText($"`{code.Value}`"));
            return Spaces().Replace(summary.Value, " ").Trim();
        }

        [GeneratedRegex(@"\s+", RegexOptions.NonBacktracking)]
        private static partial Regex Spaces();
    }
}
