using System.Globalization;
using ModelOps.Storage;
using ModelOps.Tables.Delta;

namespace ModelOps.Worker.Tables;

/// <summary>
/// <c>ModelOps.Worker tables show|rows|history PATH[@version]</c>: what is in a Delta table, as JSON on standard output, without a server. The
/// command line starts it, because it is compiled to native code and cannot load what reads Parquet.
/// </summary>
internal static class TablesProgram
{
    private const int Failed = 1;
    private const int Usage = 2;
    private const int NotFound = 3;

    /// <returns>The exit code; what went wrong stands on standard error.</returns>
    public static async Task<int> RunAsync(string[] args, CancellationToken cancellationToken)
    {
        try
        {
            return await RunAsync(TableRequest.Parse(args), cancellationToken);
        }
        catch (Exception e) when (e is ArgumentException or FormatException or ObjectStoreOptionsException)
        {
            return await FailAsync(Usage, e);
        }
        catch (Exception e) when (e is DeltaException or IOException or UnauthorizedAccessException)
        {
            return await FailAsync(Failed, e);
        }
    }

    private static async Task<int> RunAsync(TableRequest request, CancellationToken cancellationToken)
    {
        using var location = TableLocation.Open(request.Path);
        if (await location.OpenTableAsync(cancellationToken) is not { } table)
            return await FailAsync(NotFound, new DeltaException($"there is no Delta table at {request.Path}: it has no _delta_log folder with a commit"));
        await using var output = new BufferedStream(Console.OpenStandardOutput(), 1 << 16);
        if (request.Action == "history" && request.Version is null && request.Time is null)
        {
            await TableInspection.WriteHistoryAsync(output, table, upTo: null, cancellationToken);
            return 0;
        }
        var snapshot = request.Time is { } time
            ? await table.SnapshotAsync(time, cancellationToken)
            : await table.SnapshotAsync(request.Version, cancellationToken);
        if (request.Action == "show") await TableInspection.WriteSummaryAsync(output, request.Path, snapshot, cancellationToken);
        else if (request.Action == "history") await TableInspection.WriteHistoryAsync(output, table, snapshot.Version, cancellationToken);
        else await WriteRowsAsync(output, request, table, snapshot, cancellationToken);
        return 0;
    }

    private static async Task WriteRowsAsync(Stream output, TableRequest request, DeltaTable table, Snapshot snapshot, CancellationToken cancellationToken)
    {
        var predicate = request.Where is { } where ? Predicate.Parse(where, snapshot.Schema) : null;
        if (request.Out is null)
        {
            await TableInspection.WriteRowsAsync(output, table, snapshot, request.Columns, predicate, request.Limit, cancellationToken);
            return;
        }
        var rows = await TableInspection.WriteParquetAsync(request.Out, table, snapshot, request.Columns, predicate, request.Limit, cancellationToken);
        await output.WriteAsync(System.Text.Encoding.UTF8.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{{\"rows\":{rows}}}\n")), cancellationToken);
    }

    private static async Task<int> FailAsync(int code, Exception exception)
    {
        // The user knows no parameters.
        var message = exception is ArgumentException { ParamName: { } name } ? exception.Message.Replace($" (Parameter '{name}')", "", StringComparison.Ordinal) : exception.Message;
        await Console.Error.WriteLineAsync(message);
        return code;
    }
}
