namespace ModelOps.Server.Hosting;

public sealed record ServerOptions
{
    public const int DefaultPort = 8000;

    public required string Home { get; init; }

    /// <summary>0 takes any free port; the chosen one stands in credentials.json.</summary>
    /// <value>The default is 8000.</value>
    public required int Port { get; init; }

    /// <summary><c>--home DIR --port N</c>, then MODELOPS_HOME, then ~/.modelops.</summary>
    /// <exception cref="ServerStartException">Every fault of the arguments.</exception>
    public static ServerOptions Parse(string[] args)
    {
        var errors = new List<string>();
        var home = Environment.GetEnvironmentVariable("MODELOPS_HOME");
        var port = DefaultPort;
        for (var i = 0; i < args.Length; i += 2)
        {
            var value = i + 1 < args.Length ? args[i + 1] : null;
            switch (args[i])
            {
                case "--home" when value is not null:
                    home = value;
                    break;
                case "--port" when int.TryParse(value, out port) && port is >= 0 and <= 65535:
                    break;
                case "--home":
                    errors.Add("--home needs a folder");
                    break;
                case "--port":
                    errors.Add($"--port needs a number from 0 to 65535, not '{value}'");
                    break;
                default:
                    errors.Add($"unknown argument '{args[i]}'; known are --home DIR and --port N");
                    break;
            }
        }
        if (errors.Count > 0) throw new ServerStartException(string.Join('\n', errors));
        home ??= Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".modelops");
        return new() { Home = Path.GetFullPath(home), Port = port };
    }
}
