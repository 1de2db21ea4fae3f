using System.CommandLine;
using System.Globalization;
using ModelOps.Cli.Output;
using ModelOps.Client;
using Spectre.Console;

namespace ModelOps.Cli.ApiKeys;

internal static class KeysCommand
{
    public static Command Create(CommandFactory cli) => CommandFactory.Group(
        "keys", "API keys for programs.", [CreateOne(cli), List(cli), Revoke(cli)]);

    private static Command CreateOne(CommandFactory cli)
    {
        var name = new Argument<string>("name") { Description = "Says where the key is used" };
        var user = new Option<string?>("--user") { Description = "Whose key it is; others than yourself only for administrators", HelpName = "NAME" };
        var role = new Option<string?>("--role") { Description = "At most this role [default: the user's]", HelpName = "ROLE" };
        var scope = new Option<string[]>("--scope")
        {
            Description = "Narrows the role; may be repeated: inference, artifacts:read, artifacts:write, … [default: all that the role may do]",
            HelpName = "SCOPE",
        };
        var expires = new Option<TimeSpan?>("--expires")
        {
            Description = "Life of the key, like 12h or 30d [default: no end]",
            HelpName = "TIME",
            CustomParser = result =>
            {
                var text = result.Tokens.Single().Value;
                if (Lifetime(text) is { } lifetime)
                {
                    return lifetime;
                }
                result.AddError($"--expires '{text}' is not a time; write it like 12h or 30d.");
                return null;
            },
        };
        return cli.Command(
            "create", "Makes an API key and shows it, this once.",
            ["modelops keys create ci --scope artifacts:write --expires 30d", "modelops keys create app --user web --scope inference"],
            [name, user, role, scope, expires],
            async (invocation, cancellationToken) =>
            {
                var create = new CreateApiKey
                {
                    Name = invocation.Get(name),
                    User = invocation.Get(user),
                    Role = invocation.Get(role),
                    ExpiresAt = invocation.Host.Time.GetUtcNow() + invocation.Get(expires),
                };
                if (invocation.Get(scope) is { Length: > 0 } scopes)
                {
                    create.Scopes = scopes;
                }
                var created = await invocation.Client.Keys.CreateAsync(create, cancellationToken);
                invocation.Write(created, JsonOutput.Wire.CreatedApiKey, screen =>
                {
                    Show(invocation, [created.Key]);
                    screen.WriteLine();
                    screen.WriteLine($"{created.Secret}");
                    screen.WriteLine("Keep it now: it is not shown again.");
                });
                return ExitCodes.Done;
            });
    }

    private static Command List(CommandFactory cli) => cli.Command(
        "list", "Lists your API keys; an administrator's list has everybody's.", ["modelops keys list"], [],
        async (invocation, cancellationToken) =>
        {
            var keys = await invocation.Client.Keys.ListAsync(cancellationToken);
            invocation.Write(new Page<ApiKey>(keys), JsonOutput.Wire.PageApiKey, _ => Show(invocation, keys));
            return ExitCodes.Done;
        });

    private static Command Revoke(CommandFactory cli)
    {
        var id = new Argument<string>("id") { Description = "Id of the key, as 'keys list' shows it" };
        return cli.Command(
            "revoke", "Revokes an API key at once.", ["modelops keys revoke key_0123456789abcdef"], [id],
            async (invocation, cancellationToken) =>
            {
                await invocation.Client.Keys.RevokeAsync(invocation.Get(id), cancellationToken);
                var revoked = (await invocation.Client.Keys.ListAsync(cancellationToken)).Single(key => key.Id == invocation.Get(id));
                invocation.Write(revoked, JsonOutput.Wire.ApiKey, screen => screen.WriteLine($"{revoked.Id} ({revoked.Name}) is revoked."));
                return ExitCodes.Done;
            });
    }

    private static void Show(Invocation invocation, IReadOnlyList<ApiKey> keys)
    {
        var table = invocation.Table("id", "name", "user", "role", "scopes", "expires", "last used", "state");
        foreach (var key in keys)
        {
            table.AddTextRow(
                key.Id, key.Name, key.User, key.Role, string.Join(' ', key.Scopes),
                key.ExpiresAt is { } end ? Human.Time(end) : "never", key.LastUsedAt is { } used ? Human.Time(used) : "never",
                StateOf(key, invocation.Host.Time.GetUtcNow()));
        }
        invocation.Screen.Write(table);
    }

    private static string StateOf(ApiKey key, DateTimeOffset now) =>
        key.RevokedAt is not null ? "revoked" : key.ExpiresAt <= now ? "expired" : "usable";

    private static TimeSpan? Lifetime(string text)
    {
        if (text.Length < 2 || !int.TryParse(text[..^1], NumberStyles.None, CultureInfo.InvariantCulture, out var count) || count is 0 or > 36_500)
        {
            return null;
        }
        return text[^1] switch
        {
            'm' => TimeSpan.FromMinutes(count),
            'h' => TimeSpan.FromHours(count),
            'd' => TimeSpan.FromDays(count),
            _ => null,
        };
    }
}
