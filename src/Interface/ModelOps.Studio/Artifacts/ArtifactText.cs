using ModelOps.Client;

namespace ModelOps.Studio.Artifacts;

internal static class ArtifactText
{
    public static string ReferenceOf(Artifact artifact) => $"{artifact.Name}@{artifact.Version}";

    public static string PathOf(Artifact artifact) => PathOf(ReferenceOf(artifact));

    public static string PathOf(string reference) => $"artifacts/{Uri.EscapeDataString(reference)}";

    /// <summary>Where a promotion would take it; null: nowhere.</summary>
    public static string? NextStage(string stage) => stage switch
    {
        "DEV" => "STAGING",
        "STAGING" => "PRODUCTION",
        _ => null,
    };
}
