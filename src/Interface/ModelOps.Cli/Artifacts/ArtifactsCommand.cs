using System.CommandLine;
using System.Text.Json;
using ModelOps.Cli.Output;
using ModelOps.Client;

namespace ModelOps.Cli.Artifacts;

internal static class ArtifactsCommand
{
    private static readonly string[] Kinds = ["model", "adapter", "gguf", "dataset", "index", "reward", "evaluation"];

    public static Command Create(CommandFactory cli) => CommandFactory.Group(
        "artifacts", "Signed artifacts: their files, proof and origin.",
        [
            Push(cli), List(cli), Show(cli), Verify(cli), Lineage(cli), .. LifecycleCommands.Create(cli),
            PackageCommands.Export(cli), PackageCommands.Import(cli), PackageCommands.Revoke(cli),
        ]);

    private static Command Push(CommandFactory cli)
    {
        var folder = new Argument<string>("folder") { Description = "Folder of files; names that start with a dot are left out" };
        var name = new Option<string>("--name") { Description = "Name of the artifact", Required = true };
        var kind = new Option<string>("--kind") { Description = "What it is", Required = true }.AcceptOnlyFromAmong(Kinds);
        return cli.Command(
            "push", "Uploads a folder and registers it as the next version of an artifact, signed.",
            ["modelops artifacts push ./folder --name demo --kind model"], [folder, name, kind],
            async (invocation, cancellationToken) =>
            {
                var artifact = await ArtifactPush.RunAsync(
                    invocation, invocation.Client, invocation.Get(name)!, invocation.Get(kind)!, invocation.Get(folder), cancellationToken);
                invocation.Write(artifact, JsonOutput.Wire.Artifact, _ => ArtifactViews.Show(invocation, artifact));
                return ExitCodes.Done;
            });
    }

    private static Command List(CommandFactory cli)
    {
        var kind = new Option<string?>("--kind") { Description = "Only those of this kind" }.AcceptOnlyFromAmong(Kinds);
        return cli.Command(
            "list", "Lists artifacts.", ["modelops artifacts list", "modelops artifacts list --kind adapter"], [kind],
            async (invocation, cancellationToken) =>
            {
                var artifacts = await invocation.Client.Artifacts.ListAsync(invocation.Get(kind), cancellationToken);
                invocation.Write(new Page<Artifact>(artifacts), JsonOutput.Wire.PageArtifact, _ => ArtifactViews.List(
                    invocation, artifacts, "No artifact yet. Push one: modelops artifacts push FOLDER --name NAME --kind model"));
                return ExitCodes.Done;
            });
    }

    private static Command Show(CommandFactory cli)
    {
        var reference = Reference();
        return cli.Command(
            "show", "Shows an artifact's stage, approvals, aliases, files, parents and metrics.", ["modelops artifacts show demo@1"], [reference],
            async (invocation, cancellationToken) =>
            {
                var artifact = await invocation.Client.Artifacts.GetAsync(invocation.Get(reference), cancellationToken);
                invocation.Write(artifact, JsonOutput.Wire.Artifact, _ => ArtifactViews.Show(invocation, artifact));
                return ExitCodes.Done;
            });
    }

    private static Command Verify(CommandFactory cli)
    {
        var reference = Reference();
        var deep = new Option<bool>("--deep") { Description = "Read the parents' files too, not only their signed manifests" };
        return cli.Command(
            "verify", "Checks signature, key, every file and every parent; exit code 6 when one fails.",
            ["modelops artifacts verify demo@1", "modelops artifacts verify demo@1 --deep"], [reference, deep],
            async (invocation, cancellationToken) =>
            {
                var verification = await invocation.Client.Artifacts.VerifyAsync(invocation.Get(reference), invocation.Get(deep), cancellationToken);
                invocation.Write(verification, JsonOutput.Wire.Verification, _ => ArtifactViews.Checks(invocation, verification));
                ArtifactViews.ThrowUnlessVerified(verification);
                return ExitCodes.Done;
            });
    }

    private static Command Lineage(CommandFactory cli)
    {
        var reference = Reference();
        var direction = new Option<string>("--direction") { Description = "What it was made from, what was made of it, or both", DefaultValueFactory = _ => "upstream" }
            .AcceptOnlyFromAmong("upstream", "downstream", "both");
        var format = new Option<string>("--format") { Description = "openlineage: the runs as OpenLineage events", DefaultValueFactory = _ => "graph" }
            .AcceptOnlyFromAmong("graph", "openlineage");
        return cli.Command(
            "lineage", "Shows what an artifact was made from and what was made of it.",
            ["modelops artifacts lineage support-q8-0", "modelops artifacts lineage base --direction downstream", "modelops artifacts lineage support-q8-0 --format openlineage"],
            [reference, direction, format],
            async (invocation, cancellationToken) =>
            {
                var (artifact, way) = (invocation.Get(reference), invocation.Get(direction)!);
                if (invocation.Get(format) == "openlineage")
                {
                    var events = await invocation.Client.Artifacts.GetOpenLineageAsync(artifact, way, cancellationToken);
                    // The document is the point, for people too: it is piped to a lineage server.
                    invocation.Write(events, JsonOutput.Wire.JsonElement, _ =>
                        invocation.Host.Out.WriteLine(JsonSerializer.Serialize(events, JsonOutput.Wire.JsonElement)));
                    return ExitCodes.Done;
                }
                var lineage = await invocation.Client.Artifacts.GetLineageAsync(artifact, way, cancellationToken);
                invocation.Write(lineage, JsonOutput.Wire.LineageGraph, screen =>
                    LineageView.Show(screen, lineage, upstream: way != "downstream", downstream: way != "upstream"));
                return ExitCodes.Done;
            });
    }

    internal static Argument<string> Reference() => new("artifact") { Description = "name (its newest version), name@version or name:alias" };
}
