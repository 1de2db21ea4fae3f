using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using ModelOps.Server.Workers;
using ModelOps.Tables.Datasets.Queries;

namespace ModelOps.Server.Datasets;

/// <summary>
/// One query in a process of its own: DuckDB's limit on memory does not hold for all that a query can ask for, and native code that is killed or
/// aborts must not take the server along. Disposing kills it, whatever it does.
/// </summary>
public sealed class QueryProcess : IDisposable
{
    private readonly Process process;
    private readonly Task<string> lastWords;

    /// <exception cref="WorkerStartException">The worker program is missing or cannot be started.</exception>
    public QueryProcess(QueryOptions options)
    {
        // It gets the files of the tables and nothing else: no credentials of the object store.
        var start = WorkerProgram.Find().StartInfo(
            "query", options.MemoryBytes.ToString(CultureInfo.InvariantCulture), options.FileBytes.ToString(CultureInfo.InvariantCulture));
        process = Process.Start(start)!;
        lastWords = process.StandardError.ReadToEndAsync(CancellationToken.None);
    }

    /// <returns>null: it ended without an answer.</returns>
    public async Task<QueryAnswer?> AskAsync(QueryRequest request, CancellationToken cancellationToken)
    {
        try
        {
            await process.StandardInput.WriteLineAsync(JsonSerializer.Serialize(request, QueryJson.Default.QueryRequest).AsMemory(), cancellationToken);
            await process.StandardInput.FlushAsync(cancellationToken);
            return await process.StandardOutput.ReadLineAsync(cancellationToken) is { } line ? JsonSerializer.Deserialize(line, QueryJson.Default.QueryAnswer) : null;
        }
        catch (Exception e) when (e is IOException or JsonException)
        {
            return null; // it died before the question or in the middle of the answer
        }
    }

    /// <summary>How it ended without an answer, for people.</summary>
    public async Task<string> HowItEndedAsync()
    {
        await process.WaitForExitAsync();
        var words = (await lastWords).Split('\n', StringSplitOptions.RemoveEmptyEntries);
        return string.Create(CultureInfo.InvariantCulture, $"exit code {process.ExitCode}{(words.Length > 0 ? $": {words[0]}" : "")}");
    }

    public void Dispose()
    {
        process.Kill();
        process.Dispose();
    }
}
