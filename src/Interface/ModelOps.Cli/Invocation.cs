using System.CommandLine;
using System.CommandLine.Parsing;
using System.Diagnostics;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using ModelOps.Cli.Output;
using ModelOps.Cli.Serving;
using ModelOps.Cli.SignIn;
using ModelOps.Client;
using Spectre.Console;

namespace ModelOps.Cli;

/// <summary>One run of one command: its arguments, its output, its server.</summary>
internal sealed class Invocation(CliHost host, GlobalOptions globals, ParseResult parse) : IDisposable
{
    private ModelOpsClient? client;

    public CliHost Host => host;

    public bool Json { get; } = parse.GetValue(globals.Json);

    public Home Home { get; } = Home.Resolve(parse.GetValue(globals.Home), host.Variable);

    public SessionFile Sessions => new(Home, host.Time);

    public Uri? ServerOption { get; } = parse.GetValue(globals.Server);

    public string? ApiKey { get; } = parse.GetValue(globals.ApiKey) ?? host.Variable("MODELOPS_API_KEY");

    /// <summary>How its clients ask: all that this run asks for stands in one trace, below a root that names it.</summary>
    public ClientOptions ClientOptions { get; } = new()
    {
        Attempts = 3, // a person waits: the client's own patience is for services
        TraceParent = TraceOf(host),
        UserAgent = $"modelops ({string.Join(' ', NamesOf(parse))})",
    };

    /// <summary>stdout for people.</summary>
    public IAnsiConsole Screen { get; } = Consoles.Create(host.Out, host.OutIsTerminal);

    /// <summary>stderr, where progress is drawn.</summary>
    public IAnsiConsole Status { get; } = Consoles.Create(host.Error, host.ErrorIsTerminal);

    /// <summary>The client of the server that the options or the home folder name.</summary>
    /// <exception cref="ModelOpsException">Neither names one.</exception>
    public ModelOpsClient Client => client ??= ServerAddress.Connect(this);

    public T? Get<T>(Option<T> option) => parse.GetValue(option);

    public T Get<T>(Argument<T> argument) => parse.GetRequiredValue(argument);

    /// <summary>The command's result: one document, or what people read.</summary>
    public void Write<T>(T result, JsonTypeInfo<T> type, Action<IAnsiConsole> forPeople)
    {
        if (Json)
        {
            host.Out.WriteLine(JsonSerializer.Serialize(result, type));
            return;
        }
        forPeople(Screen);
    }

    public Table Table(params string[] columns) => TextTable.Create(host.OutIsTerminal, columns);

    public void Dispose() => client?.Dispose();

    /// <summary>The caller's trace, where a script or a pipeline has one, else a new one.</summary>
    private static string TraceOf(CliHost host) => host.Variable("TRACEPARENT") is { } given && ActivityContext.TryParse(given, traceState: null, out _)
        ? given
        : $"00-{ActivityTraceId.CreateRandom()}-{ActivitySpanId.CreateRandom()}-01";

    private static Stack<string> NamesOf(ParseResult parse)
    {
        var names = new Stack<string>();
        for (var command = parse.CommandResult; command.Parent is CommandResult parent; command = parent)
        {
            names.Push(command.Command.Name);
        }
        return names;
    }
}
