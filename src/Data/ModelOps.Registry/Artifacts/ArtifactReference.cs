namespace ModelOps.Registry;

/// <summary><c>name@version</c>, or <c>name</c> for the latest version.</summary>
internal sealed record ArtifactReference(string Name, string? Version)
{
    /// <returns>Null when the text is not a reference.</returns>
    public static ArtifactReference? TryParse(string text)
    {
        var at = text.IndexOf('@', StringComparison.Ordinal);
        var name = at < 0 ? text : text[..at];
        var version = at < 0 ? null : text[(at + 1)..];
        return ManifestRules.IsName(name) && (version is null || ManifestRules.IsVersion(version)) ? new(name, version) : null;
    }

    public override string ToString() => Version is null ? Name : $"{Name}@{Version}";
}
