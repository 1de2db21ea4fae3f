using System.Diagnostics.Metrics;
using System.Text.Json;
using System.Threading.Channels;
using Microsoft.Data.Sqlite;
using ModelOps.Server.Hosting;
using ModelOps.Workflows;

namespace ModelOps.Server.Telemetry;

/// <summary>
/// Keeps the spans of this server and its workers in a database of their own, for some days and up to some size. Whoever has a span to tell never
/// waits: what comes while too many wait to be written is dropped, and so is what cannot be written.
/// </summary>
public sealed partial class SpanStore : BackgroundService
{
    private const int MostWaiting = 50_000;
    private const int MostInBatch = 2000;
    private const int MostInTrace = 20_000;
    private const int RemovedAtOnce = 8; // an eighth of all, where there are too many
    private static readonly TimeSpan interval = TimeSpan.FromMilliseconds(250); // a span that ends sooner is written once
    private static readonly TimeSpan cleaning = TimeSpan.FromMinutes(1);
    private readonly Channel<Told> told = Channel.CreateBounded<Told>(new BoundedChannelOptions(MostWaiting) { SingleReader = true });
    private readonly string connectionString;
    private readonly string path;
    private readonly TelemetryOptions options;
    private readonly TimeProvider time;
    private readonly ILogger logger;
    private readonly Meter meter;
    private readonly Counter<long> dropped;
    private bool failing;
    private DateTimeOffset cleaned;

    public SpanStore(ServerHome home, TelemetryOptions options, IMeterFactory meters, TimeProvider time, ILogger<SpanStore> logger)
    {
        (path, this.options, this.time, this.logger) = (home.Traces, options, time, logger);
        connectionString = new SqliteConnectionStringBuilder { DataSource = path, DefaultTimeout = 5 }.ToString();
        meter = meters.Create(ServerMetrics.MeterName);
        dropped = meter.CreateCounter<long>("modelops.spans.dropped", "{span}", "Spans that were not kept: too many came at once, or they could not be written.");
        dropped.Add(0); // none is a number, too: the first that is dropped is an increase
    }

    public void Add(SpanRecord span)
    {
        if (!told.Writer.TryWrite(new(span, Written: null))) dropped.Add(1);
    }

    /// <summary>The spans of a trace in the order of their beginning, those told before with them.</summary>
    public async Task<IReadOnlyList<SpanRecord>> ReadAsync(string traceId, CancellationToken cancellationToken)
    {
        var written = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await told.Writer.WriteAsync(new(Span: null, written), cancellationToken);
        await written.Task.WaitAsync(cancellationToken);
        await using var connection = new SqliteConnection(connectionString);
        await connection.OpenAsync(cancellationToken);
        await using var command = new SqliteCommand($"SELECT body FROM spans WHERE trace_id = $trace ORDER BY started_at LIMIT {MostInTrace}", connection);
        command.Parameters.AddWithValue("$trace", traceId);
        var spans = new List<SpanRecord>();
        await using var rows = await command.ExecuteReaderAsync(cancellationToken);
        while (await rows.ReadAsync(cancellationToken)) spans.Add(JsonSerializer.Deserialize((byte[])rows[0], ActivityJson.Default.SpanRecord)!);
        return spans;
    }

    public override void Dispose()
    {
        using (var connection = new SqliteConnection(connectionString)) SqliteConnection.ClearPool(connection);
        meter.Dispose();
        base.Dispose();
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        await Task.Yield(); // the server's start does not wait for it
        var batch = new List<Told>();
        try
        {
            while (await told.Reader.WaitToReadAsync(stoppingToken))
            {
                await GatherAsync(batch, stoppingToken);
                Write(batch);
            }
        }
        catch (OperationCanceledException)
        {
            while (told.Reader.TryRead(out var last)) batch.Add(last);
            Write(batch);
        }
    }

    /// <summary>For a while, or until somebody waits for what was told.</summary>
    private async Task GatherAsync(List<Told> batch, CancellationToken cancellationToken)
    {
        using var limit = new CancellationTokenSource(interval, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        try
        {
            while (batch.Count < MostInBatch)
            {
                var next = await told.Reader.ReadAsync(either.Token);
                batch.Add(next);
                if (next.Written is not null) return;
            }
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            // It is time to write.
        }
    }

    private void Write(List<Told> batch)
    {
        var spans = new Dictionary<(string, string), SpanRecord>();
        foreach (var span in batch.Select(one => one.Span).OfType<SpanRecord>())
            if (span.EndedAt is not null || !spans.ContainsKey((span.TraceId, span.SpanId)))
                spans[(span.TraceId, span.SpanId)] = span;
        try
        {
            using var connection = Open();
            if (spans.Count > 0) Write(connection, spans.Values);
            if (time.GetUtcNow() - cleaned > cleaning) Clean(connection);
            failing = false;
        }
        catch (Exception e)
        {
            // Whatever it is, the server goes on without its traces.
            dropped.Add(spans.Count);
            if (!failing) Log.NotWritten(logger, path, e.Message);
            failing = true;
        }
        foreach (var one in batch) one.Written?.SetResult();
        batch.Clear();
    }

    private SqliteConnection Open()
    {
        var connection = new SqliteConnection(connectionString);
        connection.Open();
        try
        {
            Execute(
                connection,
                """
                PRAGMA auto_vacuum = INCREMENTAL;
                PRAGMA journal_mode = WAL;
                CREATE TABLE IF NOT EXISTS spans (
                    trace_id TEXT NOT NULL, span_id TEXT NOT NULL, started_at INTEGER NOT NULL, ended INTEGER NOT NULL, body BLOB NOT NULL);
                CREATE UNIQUE INDEX IF NOT EXISTS spans_by_id ON spans (trace_id, span_id);
                CREATE INDEX IF NOT EXISTS spans_by_start ON spans (started_at);
                """);
            return connection;
        }
        catch (SqliteException e) when (e.SqliteErrorCode is 11 or 26) // SQLITE_CORRUPT, SQLITE_NOTADB
        {
            Log.Broken(logger, path);
            SqliteConnection.ClearPool(connection);
            connection.Dispose();
            foreach (var file in new[] { path, $"{path}-wal", $"{path}-shm" }) File.Delete(file);
            throw;
        }
        catch
        {
            connection.Dispose();
            throw;
        }
    }

    /// <summary>The end of a span takes the place of its beginning, never the other way round.</summary>
    private static void Write(SqliteConnection connection, IEnumerable<SpanRecord> spans)
    {
        Execute(connection, "PRAGMA synchronous = NORMAL;"); // a power cut may cost the last ones
        using var transaction = connection.BeginTransaction();
        using var command = new SqliteCommand(
            """
            INSERT INTO spans VALUES ($trace, $span, $start, $ended, $body)
            ON CONFLICT (trace_id, span_id) DO UPDATE SET ended = excluded.ended, body = excluded.body WHERE excluded.ended >= ended
            """,
            connection,
            transaction);
        foreach (var span in spans)
        {
            command.Parameters.Clear();
            command.Parameters.AddWithValue("$trace", span.TraceId);
            command.Parameters.AddWithValue("$span", span.SpanId);
            command.Parameters.AddWithValue("$start", span.StartedAt.UtcTicks);
            command.Parameters.AddWithValue("$ended", span.EndedAt is null ? 0 : 1);
            command.Parameters.AddWithValue("$body", JsonSerializer.SerializeToUtf8Bytes(span, ActivityJson.Default.SpanRecord));
            command.ExecuteNonQuery();
        }
        transaction.Commit();
    }

    private void Clean(SqliteConnection connection)
    {
        Execute(connection, $"DELETE FROM spans WHERE started_at < {(time.GetUtcNow() - options.TraceAge).UtcTicks}");
        while (SizeOf(connection) > options.TraceSize)
            Execute(
                connection,
                $"DELETE FROM spans WHERE started_at <= (SELECT started_at FROM spans ORDER BY started_at LIMIT 1 OFFSET (SELECT count(*) / {RemovedAtOnce} FROM spans))");
        using (var vacuum = new SqliteCommand("PRAGMA incremental_vacuum", connection))
        using (var pages = vacuum.ExecuteReader())
            while (pages.Read())
            {
                // Each row is a page that it freed.
            }
        Execute(connection, "PRAGMA wal_checkpoint(TRUNCATE);");
        cleaned = time.GetUtcNow();
    }

    /// <summary>Bytes of what is kept, without what is free for new spans.</summary>
    private static long SizeOf(SqliteConnection connection)
    {
        using var command = new SqliteCommand(
            "SELECT (page_count - freelist_count) * page_size FROM pragma_page_count, pragma_freelist_count, pragma_page_size",
            connection);
        return (long)command.ExecuteScalar()!;
    }

    private static void Execute(SqliteConnection connection, string sql)
    {
        using var command = new SqliteCommand(sql, connection);
        command.ExecuteNonQuery();
    }

    /// <param name="Written">Fulfilled when all that was told before is written, or given up.</param>
    private sealed record Told(SpanRecord? Span, TaskCompletionSource? Written);

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Warning, "spans cannot be written to {Path} and are lost until they can: {Reason}")]
        public static partial void NotWritten(ILogger logger, string path, string reason);

        [LoggerMessage(2, LogLevel.Warning, "{Path} was broken and is begun anew: earlier traces are gone")]
        public static partial void Broken(ILogger logger, string path);
    }
}
