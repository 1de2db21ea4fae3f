using System.CommandLine;
using ModelOps.Cli.Output;
using ModelOps.Cli.Serving;
using ModelOps.Client;
using Spectre.Console;

namespace ModelOps.Cli.SignIn;

/// <summary><c>login</c>, <c>logout</c>, <c>whoami</c>.</summary>
internal static class SignInCommands
{
    private const string defaultUser = "admin";

    public static Command Login(CommandFactory cli)
    {
        var user = new Option<string?>("--user") { Description = $"Who signs in [default: {defaultUser}]", HelpName = "NAME" };
        var stdin = PasswordInput.FromStdin();
        var ca = new Option<string?>("--ca")
        {
            Description = "PEM file of the only authority to trust for this server [default: the system's; the home's for the local server]",
            HelpName = "FILE",
        };
        return cli.Command(
            "login", "Signs in to a server; commands talk to it from then on.",
            ["modelops login --server https://models.example.org:8000 --user ada --ca ca.crt", "modelops login --password-stdin < password.txt"],
            [user, stdin, ca],
            async (invocation, cancellationToken) =>
            {
                var (server, authority) = Target(invocation, invocation.Get(ca));
                var name = invocation.Get(user) ?? defaultUser;
                var password = await PasswordInput.ReadAsync(
                    invocation, invocation.Get(stdin), $"Password of {name} at {server}", twice: false, cancellationToken);
                using var client = new ModelOpsClient(new Uri(server), apiKey: null, authority);
                var tokens = await client.Auth.SignInAsync(name, password, cancellationToken);
                await invocation.Sessions.StoreAsync(
                    SessionFile.ToStored(tokens, server, authority, invocation.Host.Time), cancellationToken);
                var who = new SignedIn(server, tokens.User, tokens.Role);
                invocation.Write(who, JsonOutput.Documents.SignedIn, screen =>
                    screen.WriteLine($"Signed in to {who.Server} as {who.User} ({who.Role}). Commands talk to it until 'modelops logout'."));
                return ExitCodes.Done;
            });
    }

    public static Command Logout(CommandFactory cli) => cli.Command(
        "logout", "Ends the session, here and at the server.",
        ["modelops logout", "modelops logout --server https://models.example.org:8000"], [],
        async (invocation, cancellationToken) =>
        {
            if (invocation.Sessions.Find(invocation.ServerOption) is not { } session)
            {
                throw CliProblems.Exception(ProblemTypes.NotFound, "Not signed in", "There is no session to end; 'modelops login' begins one.");
            }
            try
            {
                using var client = ServerAddress.Connect(invocation, session);
                await client.Auth.SignOutAsync(cancellationToken);
            }
            catch (ModelOpsException exception) when (exception.Problem.Type == ProblemTypes.Unauthorized)
            {
                // It had ended there before.
            }
            await invocation.Sessions.RemoveAsync(session.Server, cancellationToken);
            invocation.Write(new SignedOut(session.Server, session.User), JsonOutput.Documents.SignedOut, screen =>
                screen.WriteLine($"{session.User} is signed out of {session.Server}."));
            return ExitCodes.Done;
        });

    public static Command WhoAmI(CommandFactory cli) => cli.Command(
        "whoami", "Says as whom commands act, and what they may.", ["modelops whoami", "modelops whoami --json"], [],
        async (invocation, cancellationToken) =>
        {
            var who = await invocation.Client.Auth.WhoAmIAsync(cancellationToken);
            invocation.Write(who, JsonOutput.Wire.WhoAmI, screen => screen.WriteLine(
                $"{who.Name} at {invocation.Client.Server}: role {who.Role ?? "none"}, scopes {string.Join(' ', who.Scopes)}, by {who.Via}"));
            return ExitCodes.Done;
        });

    private static (string Server, string? Ca) Target(Invocation invocation, string? ca)
    {
        if (ca is not null && !File.Exists(ca))
        {
            throw new FileNotFoundException($"{ca}, the authority that --ca names, does not exist.");
        }
        var credentials = invocation.Home.ReadCredentials();
        var server = invocation.ServerOption ?? (credentials is null ? null : new Uri(credentials.Server))
            ?? throw UsageException.Of("No server is known; name it with --server.");
        var isLocal = credentials is not null && SessionFile.OriginOf(server) == SessionFile.OriginOf(new Uri(credentials.Server));
        var authority = ca is not null ? Path.GetFullPath(ca) : isLocal ? invocation.Home.CaPath(credentials!) : null;
        return (SessionFile.OriginOf(server), authority);
    }
}

internal sealed record SignedIn(string Server, string User, string Role);

internal sealed record SignedOut(string Server, string User);
