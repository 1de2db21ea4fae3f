using System.CommandLine;
using ModelOps.Cli.Output;
using Spectre.Console;

namespace ModelOps.Cli.SignIn;

/// <summary>Passwords come from a terminal, unseen, or as a line of stdin; never from the command line, which other users can list.</summary>
internal static class PasswordInput
{
    public static Option<bool> FromStdin() => new("--password-stdin") { Description = "Reads the password from the next line of stdin" };

    /// <param name="twice">Asks for it again, where a slip would lock somebody out.</param>
    public static async Task<string> ReadAsync(
        Invocation invocation, bool fromStdin, string prompt, bool twice, CancellationToken cancellationToken)
    {
        if (fromStdin)
        {
            return await invocation.Host.In.ReadLineAsync(cancellationToken)
                ?? throw UsageException.Of("stdin has no line left for the password; write it there, for example: modelops … --password-stdin < FILE");
        }
        if (!invocation.Host.InIsTerminal || !invocation.Host.ErrorIsTerminal)
        {
            throw UsageException.Of("There is no terminal to ask for the password on; give it with --password-stdin.");
        }
        var password = await AskAsync(invocation, prompt, cancellationToken);
        if (twice && await AskAsync(invocation, "Once more", cancellationToken) != password)
        {
            throw UsageException.Of("The two passwords differ; nothing was changed.");
        }
        return password;
    }

    private static Task<string> AskAsync(Invocation invocation, string prompt, CancellationToken cancellationToken) =>
        new TextPrompt<string>($"{prompt}:").Secret(null).ShowAsync(invocation.Status, cancellationToken);
}
