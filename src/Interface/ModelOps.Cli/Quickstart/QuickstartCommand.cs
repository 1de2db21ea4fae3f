using System.CommandLine;
using ModelOps.Cli.Chat;
using ModelOps.Cli.Datasets;
using ModelOps.Cli.Models;
using ModelOps.Cli.Output;
using ModelOps.Cli.Serving;

namespace ModelOps.Cli.Quickstart;

/// <summary>The whole main job in one command.</summary>
internal static class QuickstartCommand
{
    private const string SampleBase = "models/wordsmith";
    private const string SampleData = "datasets/wordsmith-qa.jsonl";
    private const string SampleQuestions = "datasets/wordsmith-qa-heldout.jsonl";

    public static Command Create(CommandFactory cli)
    {
        var yes = new Option<bool>("--yes", "-y") { Description = "Do not open a chat at the end" };
        var data = new Option<string?>("--data") { Description = "Your rows, .jsonl or .json [default: the bundled sample]", HelpName = "FILE" };
        var @base = new Option<string?>("--base")
        {
            Description = "Model folder, or name[@version] of an imported one [default: the bundled sample]",
            HelpName = "MODEL",
        };
        return cli.Command(
            "quickstart", "Goes from data to a fine-tuned, signed, quantized model that answers, then opens a chat.",
            ["modelops quickstart", "modelops quickstart --yes --data ./my-rows.jsonl", "modelops quickstart --json > report.json"],
            [yes, data, @base],
            (invocation, cancellationToken) => RunAsync(
                invocation, invocation.Get(data), invocation.Get(@base), chat: !invocation.Get(yes), cancellationToken));
    }

    private static async Task<int> RunAsync(Invocation invocation, string? data, string? @base, bool chat, CancellationToken cancellationToken)
    {
        // What is missing on this machine is said before anything is started.
        var installation = new Installation(invocation.Host);
        var dataFile = data ?? installation.RequireSample(SampleData);
        DatasetsCommand.RequireFile(dataFile);
        var questionFile = data ?? installation.RequireSample(SampleQuestions); // one's own rows have no second file
        var baseModel = @base ?? installation.RequireSample(SampleBase);
        if (Directory.Exists(baseModel))
        {
            ModelsCommand.RequireModelFolder(baseModel);
        }

        await using var server = await QuickstartServer.OpenAsync(invocation, installation, cancellationToken);
        var run = new QuickstartRun(invocation, server.Client, server.IsOwn);
        var report = await run.RunAsync(baseModel, dataFile, questionFile, cancellationToken);
        invocation.Write(report, JsonOutput.Documents.QuickstartReport, _ => QuickstartSummary.Show(invocation, report));
        if (chat && !invocation.Json && invocation.Host is { InIsTerminal: true, OutIsTerminal: true })
        {
            await ChatCommand.TalkAsync(
                invocation.Host, new ChatSession(server.Client, report.Deployment.Result.Name, null, null, null), cancellationToken);
        }
        return ExitCodes.Done;
    }
}
