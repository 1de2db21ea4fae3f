using System.CommandLine;
using ModelOps.Cli.Output;
using ModelOps.Client;
using Spectre.Console;

namespace ModelOps.Cli.Configuration;

internal static class ConfigCommand
{
    public static Command Create(CommandFactory cli) => CommandFactory.Group("config", "The configuration of the server that answers.", [Show(cli)]);

    private static Command Show(CommandFactory cli)
    {
        var changed = new Option<bool>("--changed") { Description = "Only what is not the default" };
        return cli.Command(
            "show", "Shows the settings that the server runs with and where each comes from; secrets are hidden (admins).",
            ["modelops config show", "modelops config show --changed"], [changed],
            async (invocation, cancellationToken) =>
            {
                var all = await invocation.Client.GetConfigurationAsync(cancellationToken);
                IReadOnlyList<ConfiguredValue> shown = invocation.Get(changed) ? [.. all.Where(value => value.Source != "default")] : all;
                invocation.Write(new Page<ConfiguredValue>(shown), JsonOutput.Wire.PageConfiguredValue, screen => screen.Write(Table(invocation, shown)));
                return ExitCodes.Done;
            });
    }

    public static Table Table(Invocation invocation, IReadOnlyList<ConfiguredValue> values)
    {
        var table = invocation.Table("configuration", "value", "from");
        foreach (var value in values) table.AddTextRow(value.Key, value.Value ?? "(not set)", value.Source);
        return table;
    }
}
