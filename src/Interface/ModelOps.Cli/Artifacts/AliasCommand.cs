using System.CommandLine;
using ModelOps.Cli.Output;
using ModelOps.Client;
using Spectre.Console;

namespace ModelOps.Cli.Artifacts;

/// <summary>Names such as <c>champion</c> that point to one version: NAME:ALIAS is accepted wherever NAME@VERSION is.</summary>
internal static class AliasCommand
{
    public static Command Create(CommandFactory cli) => CommandFactory.Group(
        "alias", "Names that point to one version of an artifact and move atomically.", [Set(cli), Remove(cli), List(cli)]);

    private static Command Set(CommandFactory cli)
    {
        var target = new Argument<string>("artifact") { Description = "name@version that the alias shall point to" };
        var alias = new Argument<string>("alias") { Description = "The alias, for example champion" };
        var ifIs = IfIs("Only if it points to this version now; \"\": only if there is no such alias");
        return cli.Command(
            "set", "Points an alias to a version.",
            ["modelops artifacts alias set support-q8-0@3 champion", "modelops artifacts alias set support-q8-0@3 champion --if-is 2"],
            [target, alias, ifIs],
            async (invocation, cancellationToken) =>
            {
                if (invocation.Get(target).Split('@') is not [var name, var version])
                    throw UsageException.Of($"'{invocation.Get(target)}' names no version; write it like support-q8-0@3.");
                var artifact = await invocation.Client.Artifacts.SetAliasAsync(
                    name, invocation.Get(alias), version, invocation.Get(ifIs), cancellationToken);
                invocation.Write(artifact, JsonOutput.Wire.Artifact, screen =>
                    screen.WriteLine($"{name}:{invocation.Get(alias)} points to {artifact.Reference}."));
                return ExitCodes.Done;
            });
    }

    private static Command Remove(CommandFactory cli)
    {
        var name = new Argument<string>("name") { Description = "Name of the artifact" };
        var alias = new Argument<string>("alias") { Description = "The alias" };
        var ifIs = IfIs("Only if it points to this version now");
        return cli.Command(
            "remove", "Removes an alias; what it pointed to stays.", ["modelops artifacts alias remove support-q8-0 champion"], [name, alias, ifIs],
            async (invocation, cancellationToken) =>
            {
                var artifacts = invocation.Client.Artifacts;
                await artifacts.RemoveAliasAsync(invocation.Get(name), invocation.Get(alias), invocation.Get(ifIs), cancellationToken);
                var left = await artifacts.ListAliasesAsync(invocation.Get(name), cancellationToken);
                invocation.Write(new Page<Alias>(left), JsonOutput.Wire.PageAlias, screen =>
                    screen.WriteLine($"{invocation.Get(name)}:{invocation.Get(alias)} is removed."));
                return ExitCodes.Done;
            });
    }

    private static Command List(CommandFactory cli)
    {
        var name = new Argument<string>("name") { Description = "Name of the artifact" };
        var history = new Option<bool>("--history") { Description = "Every move, of removed aliases too" };
        return cli.Command(
            "list", "Lists the aliases of an artifact's name.",
            ["modelops artifacts alias list support-q8-0", "modelops artifacts alias list support-q8-0 --history"], [name, history],
            async (invocation, cancellationToken) =>
            {
                var artifacts = invocation.Client.Artifacts;
                if (invocation.Get(history))
                {
                    var moves = await artifacts.ListAliasMovesAsync(invocation.Get(name), cancellationToken);
                    invocation.Write(new Page<AliasMove>(moves), JsonOutput.Wire.PageAliasMove, _ => Show(invocation, moves));
                    return ExitCodes.Done;
                }
                var aliases = await artifacts.ListAliasesAsync(invocation.Get(name), cancellationToken);
                invocation.Write(new Page<Alias>(aliases), JsonOutput.Wire.PageAlias, _ => Show(invocation, aliases));
                return ExitCodes.Done;
            });
    }

    private static void Show(Invocation invocation, IReadOnlyList<Alias> aliases)
    {
        if (aliases.Count == 0)
        {
            invocation.Screen.WriteLine("No alias yet. Set one: modelops artifacts alias set NAME@VERSION ALIAS");
            return;
        }
        var table = invocation.Table("alias", "artifact", "since", "by");
        foreach (var alias in aliases)
        {
            table.AddTextRow($"{alias.Name}:{alias.Value}", $"{alias.Name}@{alias.Version}", Human.Time(alias.At), alias.By);
        }
        invocation.Screen.Write(table);
    }

    private static void Show(Invocation invocation, IReadOnlyList<AliasMove> moves)
    {
        var table = invocation.Table("alias", "from", "to", "when", "by");
        foreach (var move in moves)
        {
            table.AddTextRow(move.Alias, move.From ?? "-", move.To ?? "-", Human.Time(move.At), move.By);
        }
        invocation.Screen.Write(table);
    }

    private static Option<string?> IfIs(string description) => new("--if-is") { Description = description, HelpName = "VERSION" };
}
