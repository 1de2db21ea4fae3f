using System.CommandLine;
using System.CommandLine.Help;
using ModelOps.Cli.ApiKeys;
using ModelOps.Cli.Artifacts;
using ModelOps.Cli.Audit;
using ModelOps.Cli.Backup;
using ModelOps.Cli.Chat;
using ModelOps.Cli.Configuration;
using ModelOps.Cli.Datasets;
using ModelOps.Cli.Deployments;
using ModelOps.Cli.Doctor;
using ModelOps.Cli.Help;
using ModelOps.Cli.Jobs;
using ModelOps.Cli.Models;
using ModelOps.Cli.Quickstart;
using ModelOps.Cli.Serving;
using ModelOps.Cli.SignIn;
using ModelOps.Cli.Signing;
using ModelOps.Cli.Tables;
using ModelOps.Cli.Training;
using ModelOps.Cli.Users;
using ModelOps.Cli.Workers;

namespace ModelOps.Cli;

/// <summary>All commands. A test freezes their flags.</summary>
public static class CommandTree
{
    internal static readonly string[] RootExamples =
    [
        "modelops quickstart",
        "modelops serve",
        "modelops train sft --base wordsmith --dataset support --name support-lora --watch",
        "modelops artifacts list --json",
    ];

    public static RootCommand Create(CliHost host) => Create(host, new GlobalOptions());

    internal static RootCommand Create(CliHost host, GlobalOptions globals)
    {
        var cli = new CommandFactory(host, globals);
        var root = new RootCommand("Fine-tunes, quantizes and serves LLMs, and keeps the proof of how each was made.")
        {
            QuickstartCommand.Create(cli),
            ServeCommand.Create(cli),
            DoctorCommand.Create(cli),
            ConfigCommand.Create(cli),
            ModelsCommand.Create(cli),
            DatasetsCommand.Create(cli),
            TablesCommand.Create(cli),
            TrainCommand.Create(cli),
            EvalCommand.Create(cli),
            QuantizeCommand.Create(cli),
            JobsCommand.Create(cli),
            ArtifactsCommand.Create(cli),
            SigningCommand.Create(cli),
            DeployCommand.Create(cli),
            DeploymentsCommand.Create(cli),
            ChatCommand.Create(cli),
            WorkersCommand.Create(cli),
            WorkerCommand.Create(cli),
            BackupCommand.CreateBackup(cli),
            BackupCommand.CreateRestore(cli),
            SignInCommands.Login(cli),
            SignInCommands.Logout(cli),
            SignInCommands.WhoAmI(cli),
            UsersCommand.Create(cli),
            KeysCommand.Create(cli),
            AuditCommand.Create(cli),
        };
        globals.AddTo(root);
        root.SetAction(_ => Welcome.Show(host.Out));
        var help = root.Options.OfType<HelpOption>().Single();
        help.Action = new ExamplesHelpAction((HelpAction)help.Action!);
        return root;
    }
}
