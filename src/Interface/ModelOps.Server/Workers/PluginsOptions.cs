using System.ComponentModel.DataAnnotations;

namespace ModelOps.Server.Workers;

/// <summary>Which algorithm plugins workers may load from the folder <c>plugins</c> of the home folder.</summary>
public sealed record PluginsOptions : IValidatableObject
{
    /// <summary>SHA-256 of NAME/NAME.dll in hex, by NAME; no other assembly is loaded.</summary>
    public IReadOnlyDictionary<string, string> Allowed { get; init; } = new Dictionary<string, string>(StringComparer.Ordinal);

    public IEnumerable<ValidationResult> Validate(ValidationContext validationContext)
    {
        foreach (var (name, digest) in Allowed)
        {
            if (!name.All(letter => char.IsAsciiLetterOrDigit(letter) || letter is '.' or '_' or '-'))
                yield return new($"'{name}' is no name of a plugin: letters, digits, '.', '_' and '-'", [nameof(Allowed)]);
            if (digest.Length != 64 || !digest.All(char.IsAsciiHexDigit))
                yield return new($"'{digest}' of {name} is no SHA-256: 64 hex digits", [nameof(Allowed)]);
        }
    }

    /// <summary>As a worker finds it in its environment: <c>name=digest,…</c>.</summary>
    public string ToText() => string.Join(',', Allowed.Select(plugin => $"{plugin.Key}={plugin.Value}"));
}
