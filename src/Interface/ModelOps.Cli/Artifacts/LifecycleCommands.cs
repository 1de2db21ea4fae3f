using System.CommandLine;
using ModelOps.Cli.Output;
using ModelOps.Client;
using Spectre.Console;

namespace ModelOps.Cli.Artifacts;

/// <summary>Moves of artifacts between stages, and what is kept of archived ones.</summary>
internal static class LifecycleCommands
{
    public static IReadOnlyList<Command> Create(CommandFactory cli) =>
        [Promote(cli), Judge(cli, approve: true), Judge(cli, approve: false), Archive(cli), Remove(cli), AliasCommand.Create(cli), Prune(cli)];

    private static Command Promote(CommandFactory cli)
    {
        var reference = ArtifactsCommand.Reference();
        var stage = Stage();
        return cli.Command(
            "promote", "Moves an artifact one stage up when it verifies and every gate is met; names those that are not.",
            ["modelops artifacts promote support-q8-0@3 --to STAGING"], [reference, stage],
            async (invocation, cancellationToken) => Show(
                invocation, await invocation.Client.Artifacts.PromoteAsync(invocation.Get(reference), invocation.Get(stage)!, cancellationToken)));
    }

    private static Command Judge(CommandFactory cli, bool approve)
    {
        var reference = ArtifactsCommand.Reference();
        var stage = Stage();
        var comment = new Option<string?>("--comment") { Description = "Why; it is kept with the verdict", HelpName = "TEXT" };
        var (name, description) = approve
            ? ("approve", "Lets somebody else promote an artifact; needs the role approver.")
            : ("reject", "Keeps an artifact from being promoted; needs the role approver.");
        return cli.Command(
            name, description, [$"modelops artifacts {name} support-q8-0@3 --to PRODUCTION --comment \"seen the evaluation\""],
            [reference, stage, comment],
            async (invocation, cancellationToken) =>
            {
                var artifacts = invocation.Client.Artifacts;
                var (artifact, to, why) = (invocation.Get(reference), invocation.Get(stage)!, invocation.Get(comment));
                return Show(invocation, approve
                    ? await artifacts.ApproveAsync(artifact, to, why, cancellationToken)
                    : await artifacts.RejectAsync(artifact, to, why, cancellationToken));
            });
    }

    private static Command Archive(CommandFactory cli)
    {
        var reference = ArtifactsCommand.Reference();
        return cli.Command(
            "archive", "Takes an artifact out of use; its manifest and history stay.", ["modelops artifacts archive support-q8-0@1"], [reference],
            async (invocation, cancellationToken) => Show(
                invocation, await invocation.Client.Artifacts.ArchiveAsync(invocation.Get(reference), cancellationToken)));
    }

    private static Command Remove(CommandFactory cli)
    {
        var reference = new Argument<string>("artifact") { Description = "name@version" };
        return cli.Command(
            "rm", "Deletes a version that nothing depends on, or names all that does; its number is never given again.",
            ["modelops artifacts rm support-q8-0@1"], [reference],
            async (invocation, cancellationToken) =>
            {
                var artifact = await invocation.Client.Artifacts.GetAsync(invocation.Get(reference), cancellationToken);
                await invocation.Client.Artifacts.DeleteAsync(invocation.Get(reference), cancellationToken);
                invocation.Write(artifact, JsonOutput.Wire.Artifact, screen => screen.WriteLine($"{artifact.Reference} is deleted."));
                return ExitCodes.Done;
            });
    }

    private static Command Prune(CommandFactory cli)
    {
        var dryRun = new Option<bool>("--dry-run") { Description = "Only say what would go" };
        return cli.Command(
            "prune", "Lets go the files of artifacts archived long ago that nothing needs, and uploads that nothing refers to; also done daily.",
            ["modelops artifacts prune --dry-run"], [dryRun],
            async (invocation, cancellationToken) =>
            {
                var run = await invocation.Client.Artifacts.PruneAsync(invocation.Get(dryRun), cancellationToken);
                invocation.Write(run, JsonOutput.Wire.RetentionRun, _ => RetentionView.Show(invocation, run));
                return ExitCodes.Done;
            });
    }

    private static int Show(Invocation invocation, Artifact artifact)
    {
        invocation.Write(artifact, JsonOutput.Wire.Artifact, _ => ArtifactViews.Show(invocation, artifact));
        return ExitCodes.Done;
    }

    private static Option<string> Stage() =>
        new Option<string>("--to") { Description = "The stage to be promoted to", Required = true }.AcceptOnlyFromAmong("STAGING", "PRODUCTION");
}
