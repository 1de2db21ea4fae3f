using System.CommandLine;
using ModelOps.Cli.Chat;
using ModelOps.Cli.Datasets;
using ModelOps.Cli.Output;
using ModelOps.Cli.Serving;
using ModelOps.Cli.Training;

namespace ModelOps.Cli.Quickstart;

/// <summary>The whole main job in one command.</summary>
internal static class QuickstartCommand
{
    private const string SampleBase = "models/wordsmith";
    private const string SampleData = "datasets/wordsmith-qa.jsonl";

    public static Command Create(CommandFactory cli)
    {
        var yes = new Option<bool>("--yes", "-y") { Description = "Do not open a chat at the end" };
        var data = new Option<string?>("--data")
        {
            Description = "Your rows, in any format that 'datasets create' takes [default: the bundled sample]",
            HelpName = "FILE",
        };
        var @base = new Option<string?>("--base")
        {
            Description = "hf:org/name, a model folder, or name[@version] of an imported one [default: the bundled sample]",
            HelpName = "MODEL",
        };
        var maxSteps = TrainFlags.Count("--max-steps", "Training steps at most; without it as many as take about three minutes");
        var unbounded = new Option<bool>("--unbounded") { Description = "Train as long as the recipe says, however long it takes" };
        return cli.Command(
            "quickstart", "Goes from data to a fine-tuned, evaluated, signed, quantized model that answers, then opens a chat.",
            [
                "modelops quickstart", "modelops quickstart --yes --data ./my-rows.jsonl",
                "modelops quickstart --base hf:HuggingFaceTB/SmolLM2-135M-Instruct --data ./my-rows.jsonl --unbounded", "modelops quickstart --json > report.json",
            ],
            [yes, data, @base, maxSteps, unbounded],
            (invocation, cancellationToken) => RunAsync(
                invocation,
                new(invocation.Get(@base), invocation.Get(data), invocation.Get(maxSteps), invocation.Get(unbounded), HomeFlagOf(invocation)),
                chat: !invocation.Get(yes), cancellationToken));
    }

    private static async Task<int> RunAsync(Invocation invocation, QuickstartRequest request, bool chat, CancellationToken cancellationToken)
    {
        // What is missing on this machine is said before anything is started.
        var installation = new Installation(invocation.Host);
        var dataFile = request.Data ?? installation.RequireSample(SampleData);
        DatasetsCommand.RequireFile(dataFile);
        var baseModel = request.Base ?? installation.RequireSample(SampleBase);
        QuickstartBase.Require(baseModel);

        await using var server = await QuickstartServer.OpenAsync(invocation, installation, cancellationToken);
        var run = new QuickstartRun(invocation, request, server.Client, server.IsOwn);
        var report = await run.RunAsync(baseModel, dataFile, cancellationToken);
        invocation.Write(report, JsonOutput.Documents.QuickstartReport, _ => QuickstartSummary.Show(invocation, request, report));
        if (chat && !invocation.Json && invocation.Host is { InIsTerminal: true, OutIsTerminal: true })
        {
            await ChatCommand.TalkAsync(
                invocation.Host, new ChatSession(server.Client, report.Deployment.Result.Name, null, null, null), cancellationToken);
        }
        return ExitCodes.Done;
    }

    private static string HomeFlagOf(Invocation invocation) =>
        invocation.Home == Home.Resolve(null, invocation.Host.Variable) ? "" : $" --home {Shell.Quoted(invocation.Home.Folder)}";
}
