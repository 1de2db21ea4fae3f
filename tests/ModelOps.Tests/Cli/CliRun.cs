using ModelOps.Cli;

namespace ModelOps.Tests.Cli;

/// <summary>One command line run in process, with what it wrote.</summary>
internal sealed record CliRun(int Code, string Out, string Error)
{
    public static async Task<CliRun> Of(
        string[] args, string input = "", IReadOnlyDictionary<string, string>? variables = null, bool terminal = false,
        string? programFolder = null, CancellationToken cancellationToken = default)
    {
        using var output = new StringWriter { NewLine = "\n" };
        using var error = new StringWriter { NewLine = "\n" };
        var host = new CliHost
        {
            In = new StringReader(input),
            Out = TextWriter.Synchronized(output),
            Error = TextWriter.Synchronized(error),
            InIsTerminal = terminal,
            OutIsTerminal = terminal,
            Variable = name => variables?.GetValueOrDefault(name),
            ProgramFolder = programFolder ?? Path.GetTempPath(),
            Time = TimeProvider.System,
        };
        var code = await App.RunAsync(args, host, cancellationToken);
        return new CliRun(code, output.ToString(), error.ToString());
    }
}
