using ModelOps.Client;

namespace ModelOps.Cli.Output;

/// <summary>What retention did or would do, for people.</summary>
internal static class RetentionView
{
    public static void Show(Invocation invocation, RetentionRun run)
    {
        var output = invocation.Host.Out;
        foreach (var removed in run.Removed)
        {
            output.WriteLine($"{(run.DryRun ? "would remove" : "removed")}  {removed.Artifact}: {removed.Files} files, {Human.Bytes(removed.Size)}");
        }
        foreach (var kept in run.Kept)
        {
            output.WriteLine($"kept  {kept.Artifact}: {kept.Reason}");
        }
        var (setAside, freed) = run.DryRun ? ("would be set aside", "would be freed") : ("set aside, gone in a day", "freed");
        output.WriteLine($"{run.SetAside.Blobs} unused blobs {setAside} ({Human.Bytes(run.SetAside.Bytes)})");
        output.WriteLine($"{run.Freed.Blobs} blobs {freed} ({Human.Bytes(run.Freed.Bytes)})");
    }
}
