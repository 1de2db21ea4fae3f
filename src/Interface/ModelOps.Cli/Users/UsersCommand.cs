using System.CommandLine;
using ModelOps.Cli.Output;
using ModelOps.Cli.SignIn;
using ModelOps.Client;
using Spectre.Console;

namespace ModelOps.Cli.Users;

internal static class UsersCommand
{
    private const string roles = "viewer, engineer, approver, admin or service";

    public static Command Create(CommandFactory cli) => CommandFactory.Group(
        "users", "Who may use the server.",
        [
            Add(cli), List(cli), ShowOne(cli), SetRole(cli),
            Switch(cli, "disable", "Disables a user: ends its sessions and refuses its keys at once.", disabled: true),
            Switch(cli, "enable", "Enables a disabled user.", disabled: false),
            ResetPassword(cli), ChangePassword(cli), Remove(cli),
        ]);

    private static Command Add(CommandFactory cli)
    {
        var name = Name();
        var role = new Option<string>("--role") { Description = $"What it may do: {roles}", Required = true };
        var stdin = PasswordInput.FromStdin();
        var without = new Option<bool>("--no-password") { Description = "The user has API keys only and cannot sign in" };
        return cli.Command(
            "add", "Adds a user.",
            ["modelops users add ada --role engineer", "modelops users add ci --role service --no-password"],
            [name, role, stdin, without],
            async (invocation, cancellationToken) =>
            {
                var create = new CreateUser
                {
                    Name = invocation.Get(name),
                    Role = invocation.Get(role)!,
                    Password = invocation.Get(without)
                        ? null
                        : await PasswordInput.ReadAsync(
                            invocation, invocation.Get(stdin), $"Password for {invocation.Get(name)}", twice: true, cancellationToken),
                };
                Write(invocation, await invocation.Client.Users.CreateAsync(create, cancellationToken));
                return ExitCodes.Done;
            });
    }

    private static Command List(CommandFactory cli) => cli.Command(
        "list", "Lists the users.", ["modelops users list"], [],
        async (invocation, cancellationToken) =>
        {
            var users = await invocation.Client.Users.ListAsync(cancellationToken);
            invocation.Write(new Page<User>(users), JsonOutput.Wire.PageUser, _ => Show(invocation, users));
            return ExitCodes.Done;
        });

    private static Command ShowOne(CommandFactory cli)
    {
        var name = Name();
        return cli.Command(
            "show", "Shows a user.", ["modelops users show ada"], [name],
            async (invocation, cancellationToken) =>
            {
                Write(invocation, await invocation.Client.Users.GetAsync(invocation.Get(name), cancellationToken));
                return ExitCodes.Done;
            });
    }

    private static Command SetRole(CommandFactory cli)
    {
        var name = Name();
        var role = new Argument<string>("role") { Description = roles };
        return cli.Command(
            "set-role", "Gives a user another role, and ends its sessions.", ["modelops users set-role ada approver"], [name, role],
            async (invocation, cancellationToken) =>
            {
                var update = new UpdateUser { Role = invocation.Get(role) };
                Write(invocation, await invocation.Client.Users.UpdateAsync(invocation.Get(name), update, cancellationToken));
                return ExitCodes.Done;
            });
    }

    private static Command Switch(CommandFactory cli, string verb, string description, bool disabled)
    {
        var name = Name();
        return cli.Command(
            verb, description, [$"modelops users {verb} ada"], [name],
            async (invocation, cancellationToken) =>
            {
                var update = new UpdateUser { Disabled = disabled };
                Write(invocation, await invocation.Client.Users.UpdateAsync(invocation.Get(name), update, cancellationToken));
                return ExitCodes.Done;
            });
    }

    private static Command ResetPassword(CommandFactory cli)
    {
        var name = Name();
        var stdin = PasswordInput.FromStdin();
        return cli.Command(
            "reset-password", "Gives a user another password, and ends its sessions.", ["modelops users reset-password ada"], [name, stdin],
            async (invocation, cancellationToken) =>
            {
                var password = await PasswordInput.ReadAsync(
                    invocation, invocation.Get(stdin), $"New password for {invocation.Get(name)}", twice: true, cancellationToken);
                Write(invocation, await invocation.Client.Users.SetPasswordAsync(invocation.Get(name), password, cancellationToken));
                return ExitCodes.Done;
            });
    }

    private static Command ChangePassword(CommandFactory cli)
    {
        var stdin = new Option<bool>("--password-stdin") { Description = "Reads the password of now and the new one, each a line of stdin" };
        return cli.Command(
            "change-password", "Changes your own password, and ends your sessions.", ["modelops users change-password"], [stdin],
            async (invocation, cancellationToken) =>
            {
                var current = await PasswordInput.ReadAsync(invocation, invocation.Get(stdin), "Password of now", twice: false, cancellationToken);
                var password = await PasswordInput.ReadAsync(invocation, invocation.Get(stdin), "New password", twice: true, cancellationToken);
                var who = await invocation.Client.Auth.WhoAmIAsync(cancellationToken);
                await invocation.Client.Auth.ChangePasswordAsync(current, password, cancellationToken);
                invocation.Write(who, JsonOutput.Wire.WhoAmI, screen => screen.WriteLine($"The password of {who.Name} is changed. Sign in again: modelops login"));
                return ExitCodes.Done;
            });
    }

    private static Command Remove(CommandFactory cli)
    {
        var name = Name();
        return cli.Command(
            "remove", "Removes a user with its sessions and keys; what it made stays.", ["modelops users remove ada"], [name],
            async (invocation, cancellationToken) =>
            {
                var user = await invocation.Client.Users.GetAsync(invocation.Get(name), cancellationToken);
                await invocation.Client.Users.RemoveAsync(user.Name, cancellationToken);
                invocation.Write(user, JsonOutput.Wire.User, screen => screen.WriteLine($"{user.Name} is removed."));
                return ExitCodes.Done;
            });
    }

    private static void Write(Invocation invocation, User user) =>
        invocation.Write(user, JsonOutput.Wire.User, _ => Show(invocation, [user]));

    private static void Show(Invocation invocation, IReadOnlyList<User> users)
    {
        var table = invocation.Table("user", "role", "signs in", "disabled", "created");
        foreach (var user in users)
        {
            table.AddTextRow(
                user.Name, user.Role, user.HasPassword ? "password" : "keys only",
                user.DisabledAt is { } at ? Human.Time(at) : "", Human.Time(user.CreatedAt));
        }
        invocation.Screen.Write(table);
    }

    private static Argument<string> Name() => new("name") { Description = "Name of the user" };
}
