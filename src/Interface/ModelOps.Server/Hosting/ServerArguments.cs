using System.Collections;

namespace ModelOps.Server.Hosting;

public enum ServerTask
{
    Serve,
    /// <summary>Prints the effective configuration as JSON.</summary>
    ShowConfig,
    /// <summary>Prints the JSON schema of modelops.json.</summary>
    ConfigSchema,
    /// <summary>Prints the table of keys for people.</summary>
    ConfigTable,
}

/// <summary>The command line: <c>[config show|schema|table] [--home DIR] [--port N] [--set SECTION:KEY=VALUE]…</c></summary>
public sealed record ServerArguments
{
    public const string Usage = "[config show|schema|table] [--home DIR] [--port N] [--set SECTION:KEY=VALUE]…";

    public ServerTask Task { get; init; }

    /// <summary>Absolute.</summary>
    /// <value>The default is MODELOPS_HOME, else ~/.modelops.</value>
    public required string Home { get; init; }

    /// <summary>Flag, key and value, in the order given.</summary>
    public IReadOnlyList<(string Flag, string Key, string Value)> Settings { get; init; } = [];

    /// <param name="errors">Every fault of the arguments.</param>
    public static ServerArguments Parse(IReadOnlyList<string> args, IDictionary environment, List<string> errors)
    {
        var task = ServerTask.Serve;
        var home = environment["MODELOPS_HOME"] as string is { Length: > 0 } named ? named : null;
        var settings = new List<(string, string, string)>();
        for (var i = 0; i < args.Count; i += 2)
        {
            var value = i + 1 < args.Count ? args[i + 1] : null;
            switch (args[i], value)
            {
                case ("config", "show"):
                    task = ServerTask.ShowConfig;
                    break;
                case ("config", "schema"):
                    task = ServerTask.ConfigSchema;
                    break;
                case ("config", "table"):
                    task = ServerTask.ConfigTable;
                    break;
                case ("--home", { Length: > 0 }):
                    home = value;
                    break;
                case ("--port", not null):
                    settings.Add(("--port", "listen:port", value));
                    break;
                case ("--set", not null) when value.IndexOf('=', StringComparison.Ordinal) is > 0 and var at:
                    settings.Add(("--set", value[..at], value[(at + 1)..]));
                    break;
                case ("--home" or "--port" or "--set", _):
                    errors.Add($"{args[i]} cannot be '{value}'; the arguments are {Usage}");
                    break;
                default:
                    errors.Add($"unknown argument '{args[i]}'; the arguments are {Usage}");
                    break;
            }
        }
        home ??= Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".modelops");
        return new() { Task = task, Home = Path.GetFullPath(home), Settings = settings };
    }
}
