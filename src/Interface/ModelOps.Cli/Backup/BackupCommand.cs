using System.CommandLine;
using ModelOps.Cli.Artifacts;
using ModelOps.Cli.Output;
using Spectre.Console;

namespace ModelOps.Cli.Backup;

/// <summary>The server's metadata into a file and back, while it runs.</summary>
internal static class BackupCommand
{
    public static Command CreateBackup(CommandFactory cli)
    {
        var file = new Argument<string>("file") { Description = "The tar archive to write; one of that name is replaced" };
        var withKeys = new Option<bool>("--with-keys")
        {
            Description = "Put the signing keys in it: who has the file can then sign in this server's name",
        };
        return cli.Command(
            "backup", "Writes the server's metadata to a file; the server goes on meanwhile.",
            ["modelops backup metadata.tar", "modelops backup metadata.tar --with-keys"], [file, withKeys],
            async (invocation, cancellationToken) =>
            {
                var backup = await invocation.Client.Backup.CreateAsync(invocation.Get(file), invocation.Get(withKeys), cancellationToken);
                invocation.Write(backup, JsonOutput.Wire.BackupFile, screen => screen.WriteLine(
                    $"{backup.Path}  {Human.Bytes(backup.Size)}  sha256 {backup.Sha256}{(backup.WithKeys ? "  with the signing keys: keep it secret" : "")}"));
                return ExitCodes.Done;
            });
    }

    public static Command CreateRestore(CommandFactory cli)
    {
        var file = new Argument<string>("file") { Description = "An archive that 'modelops backup' wrote" };
        var yes = new Option<bool>("--yes") { Description = "Replace the metadata that the server has" };
        return cli.Command(
            "restore", "Replaces the server's metadata by a backup; the server checks it, then restarts itself with it.",
            ["modelops restore metadata.tar", "modelops restore metadata.tar --yes"], [file, yes],
            async (invocation, cancellationToken) =>
            {
                var report = await ProgressView.RunAsync(invocation, "Restore", progress => invocation.Client.Backup.RestoreAsync(
                    invocation.Get(file), invocation.Get(yes), ArtifactPush.Bytes(progress), cancellationToken));
                invocation.Write(report, JsonOutput.Wire.RestoreReport, screen =>
                {
                    screen.WriteLine($"Restored the metadata of {Human.Time(report.BackupCreatedAt)}{(report.WithKeys ? ", with its signing keys" : "")}; the server restarts with it.");
                    screen.WriteLine(Human.Counts(report.Rows));
                });
                return ExitCodes.Done;
            });
    }
}
