using System.CommandLine;
using ModelOps.Cli.Help;

namespace ModelOps.Cli;

/// <summary>Makes commands that run with an <see cref="Invocation"/>.</summary>
internal sealed class CommandFactory(CliHost host, GlobalOptions globals)
{
    /// <summary>A command that only groups others.</summary>
    public static Command Group(string name, string description, IReadOnlyList<Command> commands)
    {
        var examples = commands.OfType<ExampleCommand>().SelectMany(command => command.Examples.Take(1));
        var group = new ExampleCommand(name, description, [.. examples]);
        foreach (var command in commands)
        {
            group.Subcommands.Add(command);
        }
        return group;
    }

    /// <summary>A command that does something and returns its exit code.</summary>
    public Command Command(
        string name, string description, string[] examples, IReadOnlyList<Symbol> symbols,
        Func<Invocation, CancellationToken, Task<int>> run)
    {
        var command = new ExampleCommand(name, description, examples);
        foreach (var symbol in symbols)
        {
            switch (symbol)
            {
                case Argument argument:
                    command.Arguments.Add(argument);
                    break;
                case Option option:
                    command.Options.Add(option);
                    break;
                default:
                    throw new ArgumentException($"'{symbol.Name}' is neither an argument nor an option.", nameof(symbols));
            }
        }
        command.SetAction(async (parse, cancellationToken) =>
        {
            using var invocation = new Invocation(host, globals, parse);
            return await run(invocation, cancellationToken);
        });
        return command;
    }
}
