using System.CommandLine;
using ModelOps.Cli.Output;
using ModelOps.Client;
using Spectre.Console;

namespace ModelOps.Cli.Signing;

internal static class SigningCommand
{
    public static Command Create(CommandFactory cli) => CommandFactory.Group(
        "signing", "The keys that sign artifacts, ours and those of others.",
        [Show(cli), List(cli), Rotate(cli), Trust(cli), Revoke(cli)]);

    private static Command Show(CommandFactory cli) => cli.Command(
        "show", "Shows the public key that this server signs with, for others to trust.", ["modelops signing show > our-key.pub"], [],
        async (invocation, cancellationToken) =>
        {
            var keys = await invocation.Client.SigningKeys.ListAsync(cancellationToken);
            var current = keys.First(key => key.Current);
            invocation.Write(current, JsonOutput.Wire.SigningKeyInfo, screen =>
            {
                screen.WriteLine($"key         {current.KeyId}");
                screen.WriteLine($"fingerprint {current.Fingerprint}");
                screen.WriteLine(current.PublicKey.TrimEnd());
            });
            return ExitCodes.Done;
        });

    private static Command List(CommandFactory cli) => cli.Command(
        "list", "Lists the keys that are believed, and those that were revoked.", ["modelops signing list"], [],
        async (invocation, cancellationToken) =>
        {
            var keys = await invocation.Client.SigningKeys.ListAsync(cancellationToken);
            invocation.Write(new Page<SigningKeyInfo>(keys), JsonOutput.Wire.PageSigningKeyInfo, screen =>
            {
                var table = invocation.Table("key", "whose", "added", "state");
                foreach (var key in keys)
                    table.AddTextRow(key.KeyId, key.Name ?? "this server's", key.AddedAt is { } at ? $"{Human.Time(at)} by {key.AddedBy}" : "", State(key));
                screen.Write(table);
            });
            return ExitCodes.Done;
        });

    private static Command Rotate(CommandFactory cli) => cli.Command(
        "rotate", "Signs with a new key from now on; what the old one signed stays valid (admins).", ["modelops signing rotate"], [],
        (invocation, cancellationToken) => ChangeAsync(invocation, invocation.Client.SigningKeys.RotateAsync(cancellationToken)));

    private static Command Trust(CommandFactory cli)
    {
        var file = new Argument<string>("file") { Description = "What 'modelops signing show' of the signer printed, or signing.pub of an export" };
        var name = new Option<string>("--name") { Description = "Whose key it is", Required = true };
        return cli.Command(
            "trust", "Believes another signer; compare the fingerprint with theirs before (admins).",
            ["modelops signing trust partner.pub --name \"partner lab\""], [file, name],
            async (invocation, cancellationToken) =>
            {
                var pem = await File.ReadAllTextAsync(invocation.Get(file), cancellationToken);
                return await ChangeAsync(invocation, invocation.Client.SigningKeys.TrustAsync(pem, invocation.Get(name)!, cancellationToken));
            });
    }

    private static Command Revoke(CommandFactory cli)
    {
        var key = new Argument<string>("key") { Description = "The key's id" };
        var reason = new Option<string>("--reason") { Description = "Why", Required = true };
        return cli.Command(
            "revoke", "Refuses everything that a key signed from now on (admins).",
            ["modelops signing revoke 0123456789abcdef --reason \"laptop stolen\""], [key, reason],
            (invocation, cancellationToken) => ChangeAsync(
                invocation, invocation.Client.SigningKeys.RevokeAsync(invocation.Get(key), invocation.Get(reason)!, cancellationToken)));
    }

    private static async Task<int> ChangeAsync(Invocation invocation, Task<SigningKeyInfo> change)
    {
        var key = await change;
        invocation.Write(key, JsonOutput.Wire.SigningKeyInfo, screen =>
        {
            screen.WriteLine($"{key.KeyId}  {State(key)}");
            screen.WriteLine($"fingerprint {key.Fingerprint}");
        });
        return ExitCodes.Done;
    }

    private static string State(SigningKeyInfo key) =>
        key.RevokedReason is { } reason ? $"revoked: {reason}" : key.Current ? "signs now" : "trusted";
}
