using ModelOps.Client;
using Spectre.Console;

namespace ModelOps.Cli.Output;

/// <summary>Artifacts, and their proof, for people.</summary>
internal static class ArtifactViews
{
    extension(Artifact artifact)
    {
        public string Reference => $"{artifact.Name}@{artifact.Version}";
    }

    public static void List(Invocation invocation, IReadOnlyList<Artifact> artifacts, string emptyHint)
    {
        if (artifacts.Count == 0)
        {
            invocation.Screen.WriteLine(emptyHint);
            return;
        }
        var table = invocation.Table("artifact", "kind", "stage", "size", "created", "digest");
        foreach (var artifact in artifacts)
        {
            table.AddTextRow(
                artifact.Reference, artifact.Kind, artifact.Stage, Human.Bytes(artifact.Size),
                Human.Time(artifact.CreatedAt), artifact.Digest[..Math.Min(12, artifact.Digest.Length)]);
        }
        invocation.Screen.Write(table);
    }

    public static void Show(Invocation invocation, Artifact artifact)
    {
        var screen = invocation.Screen;
        screen.WriteLine($"{artifact.Reference}  {artifact.Kind}  {artifact.Stage}  {Human.Bytes(artifact.Size)}");
        screen.WriteLine($"digest   {artifact.Digest}");
        screen.WriteLine($"created  {Human.Time(artifact.CreatedAt)} by {artifact.CreatedBy}");
        if (artifact.Source is not null)
        {
            screen.WriteLine($"source   {artifact.Source}");
        }
        if (artifact.License is not null)
        {
            screen.WriteLine($"licence  {artifact.License}");
        }
        if (artifact.FilesRemovedAt is { } removedAt)
        {
            screen.WriteLine($"files    removed by retention on {Human.Time(removedAt)}");
        }
        foreach (var alias in artifact.Aliases)
        {
            screen.WriteLine($"alias    {artifact.Name}:{alias}");
        }
        foreach (var approval in artifact.Approvals)
        {
            var comment = approval.Comment is null ? "" : $": {approval.Comment}";
            screen.WriteLine($"{(approval.Approved ? "approved" : "rejected")} for {approval.Stage} by {approval.By}, {Human.Time(approval.At)}{comment}");
        }
        foreach (var parent in artifact.Parents)
        {
            screen.WriteLine($"{parent.Role,-8} {parent.Artifact}");
        }
        foreach (var (name, value) in artifact.Metrics)
        {
            screen.WriteLine($"metric   {name} = {value:G6}");
        }
        var files = invocation.Table("file", "size", "sha256");
        foreach (var file in artifact.Files)
        {
            files.AddTextRow(file.Path, Human.Bytes(file.Size), file.Sha256);
        }
        screen.Write(files);
    }

    public static void Checks(Invocation invocation, Verification verification)
    {
        foreach (var check in verification.Checks)
        {
            var detail = check.Detail is null ? "" : $": {check.Detail}";
            invocation.Screen.WriteLine($"{(check.Passed ? "ok  " : "FAIL")}  {check.Artifact}  {check.Check}{detail}");
        }
        invocation.Screen.WriteLine(
            verification.Verified ? $"{verification.Artifact} is verified." : $"{verification.Artifact} is NOT verified: do not use it.");
    }

    /// <exception cref="ModelOpsException">A check failed; every failed one is named.</exception>
    public static void ThrowUnlessVerified(Verification verification)
    {
        if (!verification.Verified)
        {
            throw CliProblems.Exception(
                ProblemTypes.VerificationFailed, "Verification failed", $"{verification.Artifact} is not verified: do not use it.",
                [.. verification.Checks.Where(check => !check.Passed).Select(check => $"{check.Artifact}: {check.Check} {check.Detail}")]);
        }
    }
}
