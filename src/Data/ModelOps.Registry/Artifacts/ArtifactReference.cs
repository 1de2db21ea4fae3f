namespace ModelOps.Registry;

/// <summary><c>name@version</c>, <c>name:alias</c>, or <c>name</c> for the latest version.</summary>
internal sealed record ArtifactReference(string Name, string? Version, string? Alias = null)
{
    /// <returns>Null when the text is not a reference.</returns>
    public static ArtifactReference? TryParse(string text)
    {
        var at = text.AsSpan().IndexOfAny('@', ':');
        if (at < 0)
            return ManifestRules.IsName(text) ? new(text, Version: null) : null;
        var (name, rest) = (text[..at], text[(at + 1)..]);
        if (!ManifestRules.IsName(name))
            return null;
        return text[at] == '@'
            ? ManifestRules.IsVersion(rest) ? new(name, rest) : null
            : ManifestRules.IsName(rest) ? new(name, Version: null, rest) : null;
    }

    public override string ToString() => Alias is not null ? $"{Name}:{Alias}" : Version is null ? Name : $"{Name}@{Version}";
}
