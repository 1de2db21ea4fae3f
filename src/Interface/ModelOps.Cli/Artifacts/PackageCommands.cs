using System.CommandLine;
using ModelOps.Cli.Output;
using Spectre.Console;

namespace ModelOps.Cli.Artifacts;

/// <summary>Artifacts with their proof, out of and into a server.</summary>
internal static class PackageCommands
{
    public static Command Export(CommandFactory cli)
    {
        var reference = ArtifactsCommand.Reference();
        var output = new Argument<string>("out") { Description = "A new folder, or a tar when it ends in .tar" };
        return cli.Command(
            "export", "Writes an artifact's files and everything that proves them, verified before; exit code 6 when it does not verify.",
            ["modelops artifacts export demo@1 ./demo", "modelops artifacts export demo demo.tar"], [reference, output],
            async (invocation, cancellationToken) =>
            {
                var path = invocation.Get(output);
                var package = await ProgressView.RunAsync(invocation, $"Export {invocation.Get(reference)}", progress =>
                    invocation.Client.Packages.ExportAsync(
                        invocation.Get(reference), path, ArtifactPush.Bytes(progress, "writing"), cancellationToken));
                invocation.Write(package, JsonOutput.Wire.PackagedArtifact, screen =>
                {
                    screen.WriteLine($"{package.Artifact} is in {path}; its README.md says how to verify it.");
                    screen.WriteLine($"signed by {package.PublicKeys[0].KeyId}, fingerprint {package.PublicKeys[0].Fingerprint}");
                });
                return ExitCodes.Done;
            });
    }

    public static Command Import(CommandFactory cli)
    {
        var path = new Argument<string>("path") { Description = "An exported folder or tar" };
        var trust = new Option<bool>("--trust") { Description = "Trust the keys that signed it from now on (admins)" };
        return cli.Command(
            "import", "Registers an exported artifact as it was signed, once all of it verifies; exit code 6 when it does not.",
            ["modelops artifacts import ./demo", "modelops artifacts import demo.tar --trust"], [path, trust],
            async (invocation, cancellationToken) =>
            {
                var result = await ProgressView.RunAsync(invocation, "Import", progress => invocation.Client.Packages.ImportAsync(
                    invocation.Get(path), invocation.Get(trust), ArtifactPush.Bytes(progress, "verifying and sending"), cancellationToken));
                invocation.Write(result, JsonOutput.Wire.ImportResult, screen => screen.WriteLine(
                    result.Outcome == "unchanged" ? $"{result.Artifact} was here already." : $"{result.Artifact} is imported."));
                return ExitCodes.Done;
            });
    }

    public static Command Revoke(CommandFactory cli)
    {
        var reference = ArtifactsCommand.Reference();
        var reason = new Option<string>("--reason") { Description = "Why", Required = true };
        return cli.Command(
            "revoke", "Takes an artifact out of use for good, with everything that was made from it (approvers, admins).",
            ["modelops artifacts revoke demo@1 --reason \"poisoned data\""], [reference, reason],
            async (invocation, cancellationToken) =>
            {
                var name = invocation.Get(reference);
                await invocation.Client.Artifacts.RevokeAsync(name, invocation.Get(reason)!, cancellationToken);
                var artifact = await invocation.Client.Artifacts.GetAsync(name, cancellationToken);
                invocation.Write(artifact, JsonOutput.Wire.Artifact, screen =>
                    screen.WriteLine($"{artifact.Reference} is revoked: it and what was made from it are refused from now on."));
                return ExitCodes.Done;
            });
    }
}
