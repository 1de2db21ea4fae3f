namespace ModelOps.Cli;

/// <summary>What the command line has around it: streams, whether people are at them, environment, clock.</summary>
public sealed record CliHost
{
    public required TextReader In { get; init; }
    public required TextWriter Out { get; init; }
    public required TextWriter Error { get; init; }
    /// <summary>Whether a person types at <see cref="In"/>; false when it is piped.</summary>
    public bool InIsTerminal { get; init; }
    public bool OutIsTerminal { get; init; }
    public bool ErrorIsTerminal { get; init; }
    /// <summary>Value of an environment variable; null when unset.</summary>
    public required Func<string, string?> Variable { get; init; }
    /// <summary>Folder of the program, from which the server and the samples are found.</summary>
    public required string ProgramFolder { get; init; }
    public required TimeProvider Time { get; init; }

    public static CliHost OfProcess() => new()
    {
        In = Console.In,
        Out = Console.Out,
        Error = Console.Error,
        InIsTerminal = !Console.IsInputRedirected,
        OutIsTerminal = !Console.IsOutputRedirected,
        ErrorIsTerminal = !Console.IsErrorRedirected,
        Variable = name => Environment.GetEnvironmentVariable(name) is { Length: > 0 } value ? value : null,
        ProgramFolder = AppContext.BaseDirectory,
        Time = TimeProvider.System,
    };
}
