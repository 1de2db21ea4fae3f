using System.ComponentModel;
using System.Diagnostics;
using System.Runtime.CompilerServices;
using ModelOps.Cli.Output;
using ModelOps.Cli.Serving;
using ModelOps.Client;

namespace ModelOps.Cli.Tables;

/// <summary>
/// The worker program as a reader of tables: it writes JSON, a document or a row a line. This program is compiled to native code, which cannot
/// load what reads Parquet.
/// </summary>
internal static class TableReader
{
    /// <exception cref="ModelOpsException">There is no such table or version, it cannot be read, or the reader is not installed.</exception>
    public static async IAsyncEnumerable<string> ReadLinesAsync(
        Invocation invocation, IReadOnlyList<string> arguments, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var program = new Installation(invocation.Host).RequireWorker();
        using var process = Start(program, arguments);
        try
        {
            var errors = process.StandardError.ReadToEndAsync(cancellationToken);
            while (await process.StandardOutput.ReadLineAsync(cancellationToken) is { } line) yield return line;
            await process.WaitForExitAsync(cancellationToken);
            if (process.ExitCode != ExitCodes.Done) throw Failure(process.ExitCode, (await errors).Trim());
        }
        finally
        {
            if (!process.HasExited) process.Kill();
        }
    }

    private static Process Start(string program, IReadOnlyList<string> arguments)
    {
        var start = new ProcessStartInfo(program, ["tables", .. arguments]) { UseShellExecute = false, RedirectStandardOutput = true, RedirectStandardError = true };
        try
        {
            return Process.Start(start)!;
        }
        catch (Win32Exception e)
        {
            throw CliProblems.Exception(CliProblems.LocalFile, "Table reader cannot be started", $"{program} cannot be started: {e.Message}");
        }
    }

    private static ModelOpsException Failure(int code, string errors) => code switch
    {
        ExitCodes.NotFound => CliProblems.Exception(ProblemTypes.NotFound, "Table not found", errors),
        ExitCodes.Usage => CliProblems.Exception(ProblemTypes.Invalid, "Usage", errors),
        _ => CliProblems.Exception(CliProblems.LocalFile, "Table cannot be read", errors),
    };
}
