namespace ModelOps.Client;

/// <summary>A setting of a server as it is in effect.</summary>
/// <param name="Key"><c>section:key</c>.</param>
/// <param name="Value">Null: not set. A secret's is hidden.</param>
/// <param name="Source">default, the file, the environment variable, or the flag.</param>
public sealed record ConfiguredValue(string Key, string? Value, string Source, bool Secret);
