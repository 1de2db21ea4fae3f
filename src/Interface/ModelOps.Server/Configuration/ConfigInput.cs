using System.Collections;
using System.Text.Json;

namespace ModelOps.Server.Configuration;

/// <summary>What one source says, as a tree of names; nothing is interpreted yet.</summary>
public sealed class ConfigInput(string source)
{
    public const string EnvironmentPrefix = "MODELOPS__";
    private readonly SortedDictionary<string, ConfigInput> children = new(StringComparer.Ordinal);

    /// <summary>Where it was written, for people: <c>environment MODELOPS__LISTEN__PORT</c>.</summary>
    public string Source { get; private set; } = source;

    /// <summary>Null when only deeper names have values. An empty list of the file is the empty text.</summary>
    public string? Text { get; private set; }

    public IReadOnlyDictionary<string, ConfigInput> Children => children;

    /// <summary>A file that is absent says nothing.</summary>
    public static ConfigInput OfFile(string path, List<string> errors)
    {
        var root = new ConfigInput(path);
        try
        {
            var options = new JsonDocumentOptions { CommentHandling = JsonCommentHandling.Skip, AllowTrailingCommas = true, AllowDuplicateProperties = false };
            using var document = JsonDocument.Parse(File.ReadAllBytes(path), options);
            if (document.RootElement.ValueKind != JsonValueKind.Object) errors.Add($"{path}: the document must be an object of sections");
            else root.Add(document.RootElement);
            root.children.Remove("$schema"); // for editors
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            return root;
        }
        catch (JsonException e)
        {
            errors.Add($"{path}: it is not valid JSON: {e.Message}");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            errors.Add($"{path}: it cannot be read: {e.Message}");
        }
        return root;
    }

    /// <summary><c>MODELOPS__SECTION__KEY</c>; a list or entry goes deeper with <c>__0</c> or <c>__NAME</c>.</summary>
    public static ConfigInput OfEnvironment(IDictionary variables)
    {
        var root = new ConfigInput("environment");
        foreach (DictionaryEntry variable in variables)
            if (variable.Key is string name && name.StartsWith(EnvironmentPrefix, StringComparison.Ordinal) && variable.Value is string { Length: > 0 } value)
                root.Set(name[EnvironmentPrefix.Length..].ToLowerInvariant().Split("__"), value, $"environment {name}");
        return root;
    }

    /// <param name="settings">Flag, <c>section:key</c> and value; a later one of the same key wins.</param>
    public static ConfigInput OfFlags(IEnumerable<(string Flag, string Key, string Value)> settings)
    {
        var root = new ConfigInput("flags");
        foreach (var (flag, key, value) in settings) root.Set(key.Split(':'), value, $"flag {flag}");
        return root;
    }

    private void Set(ReadOnlySpan<string> path, string text, string source)
    {
        var node = this;
        foreach (var name in path) node = node.Child(name, source);
        (node.Text, node.Source) = (text, source);
    }

    private ConfigInput Child(string name, string source) =>
        children.TryGetValue(name, out var child) ? child : children[name] = new ConfigInput(source);

    private void Add(JsonElement element)
    {
        switch (element.ValueKind)
        {
            case JsonValueKind.Object:
                foreach (var property in element.EnumerateObject().Where(property => property.Value.ValueKind != JsonValueKind.Null)) // null: not set
                    Child(property.Name, Source).Add(property.Value);
                break;
            case JsonValueKind.Array when element.GetArrayLength() == 0:
                Text = "";
                break;
            case JsonValueKind.Array:
                foreach (var (index, item) in element.EnumerateArray().Index()) Child($"{index}", Source).Add(item);
                break;
            default:
                Text = element.ValueKind == JsonValueKind.String ? element.GetString() : element.GetRawText();
                break;
        }
    }
}
