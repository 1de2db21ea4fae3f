using System.Collections;
using System.ComponentModel.DataAnnotations;
using System.Globalization;

namespace ModelOps.Server.Configuration;

/// <summary>An effective value and where it comes from.</summary>
/// <param name="Key"><c>section:key</c>.</param>
/// <param name="Value">Null: not set. A secret's is hidden.</param>
public sealed record ConfigEntry(string Key, string? Value, string Source, bool Secret);

/// <param name="Value">Good only without errors.</param>
/// <param name="Errors">Every fault at once: the key's full name, where it was written, what is allowed.</param>
public sealed record Bound<T>(T Value, IReadOnlyList<ConfigEntry> Entries, IReadOnlyList<string> Errors);

/// <summary>Fills option records from several sources; the first source that has a key decides.</summary>
public sealed class ConfigBinder
{
    private const string Default = "default";
    private const string Hidden = "(hidden)";
    private readonly List<ConfigEntry> entries = [];
    private readonly List<string> errors = [];
    private readonly List<string> known = [];

    private ConfigBinder()
    {
    }

    /// <param name="inputs">Highest precedence first.</param>
    public static Bound<T> Bind<T>(params IReadOnlyList<ConfigInput> inputs)
        where T : class, new()
    {
        var binder = new ConfigBinder();
        var section = (ConfigNode.Section)ConfigNode.Of(typeof(T));
        binder.known.AddRange(Keys(section, ""));
        var value = (T)binder.Section(section, "", inputs, new T());
        return new(value, binder.entries, binder.errors);
    }

    /// <summary>Every key there can be; <c>*</c> stands for a number or a name of the user's.</summary>
    public static IEnumerable<string> Keys(ConfigNode node, string key) => node switch
    {
        ConfigNode.Section section => section.Properties.SelectMany(property => Keys(property.Node, Join(key, property.Name))),
        ConfigNode.Items { Element: not ConfigNode.Scalar } items => Keys(items.Element, Join(key, "*")),
        ConfigNode.Map map => Keys(map.Element, Join(key, "*")),
        _ => [key],
    };

    private object Section(ConfigNode.Section section, string key, IReadOnlyList<ConfigInput> inputs, object target)
    {
        foreach (var input in inputs.Where(input => input.Text is not null))
            errors.Add($"{(key.Length > 0 ? key : "the document")} ({input.Source}): it is a section of keys, not a value");
        foreach (var property in section.Properties)
        {
            var below = inputs.Select(input => input.Children.GetValueOrDefault(property.Name)).OfType<ConfigInput>().ToList();
            Property(property, Join(key, property.Name), below, target);
        }
        var names = section.Properties.Select(property => property.Name).ToHashSet(StringComparer.Ordinal);
        foreach (var input in inputs)
            foreach (var (name, child) in input.Children.Where(child => !names.Contains(child.Key)))
                Unknown(Join(key, name), child);
        if (target is IValidatableObject rules)
            errors.AddRange(rules.Validate(new ValidationContext(target)).SelectMany(result => Faults(result, key)));
        return target;
    }

    private void Property(ConfigProperty property, string key, List<ConfigInput> inputs, object target)
    {
        var fallback = property.Property.GetValue(target);
        if (inputs.Count == 0 && property.Required)
        {
            errors.Add($"{key}: it needs a value; {Environment(key)} or modelops.json gives it one");
            return;
        }
        var faults = errors.Count;
        var value = Value(property.Node, key, inputs, fallback, property.Secret);
        if (errors.Count > faults) return;
        property.Property.SetValue(target, value);
        var context = new ValidationContext(target) { MemberName = property.Property.Name, DisplayName = key };
        foreach (var rule in property.Rules)
            if (rule.GetValidationResult(value, context) is { } broken)
                errors.Add($"{Written(key, inputs, property.Secret ? Hidden : ConfigText.Format(value))}: "
                    + (ConfigText.Allowed(rule) is { } allowed ? $"allowed is {allowed}" : broken.ErrorMessage));
    }

    private object? Value(ConfigNode node, string key, List<ConfigInput> inputs, object? fallback, bool secret)
    {
        switch (node)
        {
            case ConfigNode.Section section:
                // A section that is absent by default stays so until a source has a key of it.
                return fallback is null && inputs.Count == 0 ? Entry(key, null, Default, secret: false)
                    : Section(section, key, inputs, fallback ?? Activator.CreateInstance(section.Type)!);
            case ConfigNode.Items items:
                return Items(items, key, inputs, fallback, secret);
            case ConfigNode.Map map:
                return Map(map, key, inputs, fallback, secret);
            default:
                return Scalar(((ConfigNode.Scalar)node).Type, key, inputs, fallback, secret);
        }
    }

    private object? Scalar(Type type, string key, List<ConfigInput> inputs, object? fallback, bool secret)
    {
        foreach (var (name, child) in inputs.SelectMany(input => input.Children)) Unknown(Join(key, name), child);
        if (inputs.FirstOrDefault(input => input.Text is not null) is not { Text: { } text } input) return Entry(key, fallback, Default, secret);
        if (ConfigText.Parse(type, text) is { } value) return Entry(key, value, input.Source, secret);
        errors.Add($"{Written(key, [input], secret ? Hidden : text)}: allowed is {ConfigText.Kind(type)}");
        return fallback;
    }

    /// <summary>A source that has the list gives all of it: lists of two sources are not mixed by index.</summary>
    private object? Items(ConfigNode.Items items, string key, List<ConfigInput> inputs, object? fallback, bool secret)
    {
        if (inputs.Count == 0) return Entry(key, fallback, Default, secret);
        var input = inputs[0];
        var list = (IList)Activator.CreateInstance(typeof(List<>).MakeGenericType(items.ElementType))!;
        if (input.Text is { } text && items.Element is ConfigNode.Scalar scalar)
        {
            foreach (var part in text.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))
            {
                if (ConfigText.Parse(scalar.Type, part) is { } value) list.Add(value);
                else errors.Add($"{Written(key, [input], secret ? Hidden : part)}: allowed is a list of {ConfigText.Kind(scalar.Type)}");
            }
            return Entry(key, list, input.Source, secret);
        }
        if (input.Text is { Length: > 0 }) errors.Add($"{key} ({input.Source}): it is a list of sections, not a value");
        foreach (var (name, child) in input.Children.OrderBy(child => Index(child.Key)))
        {
            if (Index(name) == list.Count) list.Add(Value(items.Element, Join(key, name), [child], null, secret));
            else errors.Add($"{Join(key, name)} ({child.Source}): a list is numbered 0, 1, 2, … without gaps");
        }
        return list;
    }

    private object? Map(ConfigNode.Map map, string key, List<ConfigInput> inputs, object? fallback, bool secret)
    {
        var entriesByName = (IDictionary)Activator.CreateInstance(typeof(Dictionary<,>).MakeGenericType(typeof(string), map.ElementType))!;
        foreach (var input in inputs.Where(input => input.Text is { Length: > 0 }))
            errors.Add($"{key} ({input.Source}): it is a section of named entries, not a value");
        var defaults = fallback as IDictionary;
        var names = inputs.SelectMany(input => input.Children.Keys).Concat(defaults?.Keys.Cast<string>() ?? []);
        foreach (var name in names.Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal))
        {
            var below = inputs.Select(input => input.Children.GetValueOrDefault(name)).OfType<ConfigInput>().ToList();
            entriesByName[name] = Value(map.Element, Join(key, name), below, defaults?[name], secret);
        }
        if (entriesByName.Count == 0) Entry(key, fallback is null ? null : "", Default, secret: false);
        return entriesByName;
    }

    private object? Entry(string key, object? value, string source, bool secret)
    {
        entries.Add(new ConfigEntry(key, secret && value is not null ? Hidden : ConfigText.Format(value), source, secret));
        return value;
    }

    private void Unknown(string key, ConfigInput input)
    {
        if (input.Text is not null)
        {
            var nearest = known.MinBy(candidate => Distance(candidate, key));
            var hint = nearest is not null && Distance(nearest, key) <= Math.Max(3, key.Length / 3) ? $"did you mean {nearest}?" : "docs/configuration.md lists the known ones";
            errors.Add($"{key} ({input.Source}): there is no such key; {hint}");
        }
        foreach (var (name, child) in input.Children) Unknown(Join(key, name), child);
    }

    private static IEnumerable<string> Faults(ValidationResult result, string key)
    {
        var names = result.MemberNames.Select(name => Join(key, System.Text.Json.JsonNamingPolicy.SnakeCaseLower.ConvertName(name))).ToList();
        return [$"{(names.Count > 0 ? string.Join(" and ", names) : key)}: {result.ErrorMessage}"];
    }

    private static string Written(string key, List<ConfigInput> inputs, string? value) =>
        $"{key} is '{value}' ({inputs.FirstOrDefault(input => input.Text is not null)?.Source ?? Default})";

    private static string Environment(string key) =>
        "environment " + ConfigInput.EnvironmentPrefix + key.Replace(":", "__", StringComparison.Ordinal).ToUpperInvariant();

    private static string Join(string key, string name) => key.Length == 0 ? name : $"{key}:{name}";

    private static int Index(string name) => int.TryParse(name, NumberStyles.None, CultureInfo.InvariantCulture, out var index) ? index : int.MaxValue;

    /// <summary>Levenshtein: the least insertions, deletions and replacements.</summary>
    private static int Distance(string a, string b)
    {
        var row = Enumerable.Range(0, b.Length + 1).ToArray();
        for (var i = 1; i <= a.Length; i++)
        {
            var diagonal = row[0];
            row[0] = i;
            for (var j = 1; j <= b.Length; j++)
                (diagonal, row[j]) = (row[j], Math.Min(Math.Min(row[j], row[j - 1]) + 1, diagonal + (a[i - 1] == b[j - 1] ? 0 : 1)));
        }
        return row[b.Length];
    }
}
