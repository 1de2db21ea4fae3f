namespace ModelOps.Server.Studio;

/// <summary>The web UI.</summary>
public sealed record StudioOptions
{
    /// <summary>Whether the server has the web UI, at <c>/</c>.</summary>
    public bool Enabled { get; init; } = true;
}
