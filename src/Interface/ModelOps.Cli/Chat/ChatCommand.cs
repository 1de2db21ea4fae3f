using System.CommandLine;
using ModelOps.Cli.Output;
using ModelOps.Client;

namespace ModelOps.Cli.Chat;

internal sealed record ChatReport(string Model, string Message, string Answer, string FinishReason, ChatUsage? Usage, double Seconds);

internal static class ChatCommand
{
    public static Command Create(CommandFactory cli)
    {
        var name = new Argument<string>("name") { Description = "Name of a deployment" };
        var message = new Option<string?>("--message", "-m") { Description = "Ask this and end; piped stdin does the same", HelpName = "TEXT" };
        var system = new Option<string?>("--system") { Description = "System prompt", HelpName = "TEXT" };
        var temperature = new Option<double?>("--temperature") { Description = "0 always takes the likeliest token", HelpName = "T" };
        temperature.Validators.Add(result =>
        {
            if (result.GetValueOrDefault<double?>() is not (>= 0 and <= 2))
            {
                result.AddError("--temperature must be between 0 and 2.");
            }
        });
        var maxTokens = new Option<int?>("--max-tokens") { Description = "Tokens of an answer at most", HelpName = "N" };
        return cli.Command(
            "chat", "Talks with a deployed model: in turns on a terminal, once with --message or piped stdin.",
            ["modelops chat support", "modelops chat support --message \"Where is my order?\" --temperature 0", "modelops chat support < question.txt"],
            [name, message, system, temperature, maxTokens],
            async (invocation, cancellationToken) =>
            {
                var session = new ChatSession(
                    invocation.Client, invocation.Get(name), invocation.Get(system), invocation.Get(temperature), invocation.Get(maxTokens));
                if (invocation.Get(message) is { } asked)
                {
                    return await AskOnceAsync(invocation, session, invocation.Get(name), asked, cancellationToken);
                }
                if (!invocation.Host.InIsTerminal)
                {
                    var piped = await invocation.Host.In.ReadToEndAsync(cancellationToken);
                    return await AskOnceAsync(invocation, session, invocation.Get(name), piped.Trim(), cancellationToken);
                }
                if (invocation.Json)
                {
                    throw UsageException.Of("'chat --json' asks once: give --message or pipe the message in.");
                }
                await TalkAsync(invocation.Host, session, cancellationToken);
                return ExitCodes.Done;
            });
    }

    /// <summary>Turns on a terminal until <c>/exit</c> or end of input.</summary>
    public static async Task TalkAsync(CliHost host, ChatSession session, CancellationToken cancellationToken)
    {
        await host.Out.WriteLineAsync("Type a message. /reset forgets the conversation, /exit ends it.");
        while (true)
        {
            await host.Out.WriteAsync("> ");
            await host.Out.FlushAsync(cancellationToken);
            // A read of the console cannot be canceled: wait beside it.
            var line = await Task.Run(host.In.ReadLine, cancellationToken).WaitAsync(cancellationToken);
            switch (line?.Trim())
            {
                case null or "/exit":
                    return;
                case "":
                    break;
                case "/reset":
                    session.Reset();
                    break;
                case var question:
                    await TurnAsync(host, session, question, cancellationToken);
                    break;
            }
        }
    }

    private static async Task TurnAsync(CliHost host, ChatSession session, string question, CancellationToken cancellationToken)
    {
        try
        {
            await session.AskAsync(question, text => WriteText(host, text), cancellationToken);
            await host.Out.WriteLineAsync();
        }
        catch (ModelOpsException exception) when (exception is not ServerUnreachableException)
        {
            // One refused question, for example one too long, does not end the conversation.
            await host.Out.WriteLineAsync();
            await host.Error.WriteLineAsync($"error: {exception.Message}");
        }
    }

    private static async Task<int> AskOnceAsync(
        Invocation invocation, ChatSession session, string model, string message, CancellationToken cancellationToken)
    {
        if (message.Length == 0)
        {
            throw UsageException.Of("The message is empty; give --message TEXT or pipe it in.");
        }
        var host = invocation.Host;
        var start = host.Time.GetTimestamp();
        var answer = await session.AskAsync(message, text => WriteText(host, invocation.Json ? "" : text), cancellationToken);
        var report = new ChatReport(model, message, answer.Content, answer.FinishReason, answer.Usage, host.Time.GetElapsedTime(start).TotalSeconds);
        invocation.Write(report, JsonOutput.Documents.ChatReport, _ => host.Out.WriteLine());
        return ExitCodes.Done;
    }

    /// <summary>Writes model output as it comes; on a terminal without the control characters that could steer it.</summary>
    public static void WriteText(CliHost host, string text)
    {
        host.Out.Write(host.OutIsTerminal ? Human.WithoutControls(text) : text);
        host.Out.Flush();
    }
}
