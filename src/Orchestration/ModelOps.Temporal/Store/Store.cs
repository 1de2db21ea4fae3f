using Microsoft.Data.Sqlite;
using Microsoft.Extensions.Logging;

namespace ModelOps.Temporal;

/// <summary>
/// The SQLite database: write-ahead log, every commit fsynced. One thread writes; while it waits for the disk, changes gather for the
/// next commit (group commit). Readers have connections of their own and see the last commit.
/// </summary>
internal sealed class Store : IAsyncDisposable
{
    private static readonly TimeSpan retryPause = TimeSpan.FromMilliseconds(500);

    /// <summary>SQLITE_BUSY, LOCKED, NOMEM, READONLY, IOERR, FULL, CANTOPEN. Any other error comes again with every try.</summary>
    private static readonly int[] mayPass = [5, 6, 7, 8, 10, 13, 14];
    private readonly string path;
    private readonly bool temporary;
    private readonly ILogger logger;
    private readonly string connectionString;
    private readonly SemaphoreSlim changed = new(0, 1);
    private readonly CancellationTokenSource stopping = new();
    private readonly FileStream hold;
    private readonly StoreWriter writer;
    private Task writing = Task.CompletedTask;

    private Store(string path, bool temporary, ILogger logger)
    {
        this.path = path;
        this.temporary = temporary;
        this.logger = logger;
        hold = Hold(path);
        connectionString = new SqliteConnectionStringBuilder { DataSource = path, DefaultTimeout = 30 }.ToString();
        var connection = Connect();
        try
        {
            Execute(connection, $"PRAGMA journal_mode = WAL; PRAGMA synchronous = {(temporary ? "OFF" : "FULL")};");
            Execute(connection, StoreSchema.Create);
            writer = new StoreWriter(connection);
        }
        catch
        {
            connection.Dispose();
            hold.Dispose();
            throw;
        }
    }

    /// <param name="path">Null: a temporary database, which is not fsynced and goes with the store.</param>
    /// <param name="logger">For commits that fail.</param>
    public static Store Open(string? path, ILogger logger)
    {
        var isTemporary = path is null;
        path ??= Path.Combine(Directory.CreateTempSubdirectory("temporal-").FullName, "temporal.db");
        Directory.CreateDirectory(Path.GetDirectoryName(Path.GetFullPath(path))!);
        return new Store(path, isTemporary, logger);
    }

    /// <summary>Starts writing.</summary>
    /// <param name="take">Gives what is to be written, and the promise to fulfil when it is on disk.</param>
    /// <param name="failed">Told when nothing is written any more, because of what.</param>
    public void Start(Func<(StoreBatch Batch, TaskCompletionSource Durable)?> take, Action<Exception> failed) =>
        writing = Task.Factory.StartNew(() => Write(take, failed), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);

    /// <summary>There is something to write.</summary>
    public void Signal()
    {
        try
        {
            changed.Release();
        }
        catch (SemaphoreFullException)
        {
            // It is awake already.
        }
    }

    public StoreReader Read() => new(Connect());

    public async ValueTask DisposeAsync()
    {
        await stopping.CancelAsync().ConfigureAwait(false);
        Signal();
        await writing.ConfigureAwait(false);
        writer.Dispose();
        using (var connection = new SqliteConnection(connectionString))
            SqliteConnection.ClearPool(connection);
        await hold.DisposeAsync().ConfigureAwait(false);
        if (temporary)
            Directory.Delete(Path.GetDirectoryName(path)!, recursive: true);
        changed.Dispose();
        stopping.Dispose();
    }

    /// <summary>One server at a time: the kernel frees the lock when its process ends, however it ends.</summary>
    private static FileStream Hold(string path)
    {
        try
        {
            return new FileStream($"{path}.lock", FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
        }
        catch (IOException failure) when (File.Exists($"{path}.lock"))
        {
            throw new IOException($"{path} is in use by another Temporal server; one server at a time opens it.", failure);
        }
    }

    private static void Execute(SqliteConnection connection, string sql)
    {
        using var command = new SqliteCommand(sql, connection);
        command.ExecuteNonQuery();
    }

    private SqliteConnection Connect()
    {
        var connection = new SqliteConnection(connectionString);
        connection.Open();
        return connection;
    }

    private void Write(Func<(StoreBatch Batch, TaskCompletionSource Durable)?> take, Action<Exception> failed)
    {
        TaskCompletionSource? pending = null;
        try
        {
            while (!stopping.IsCancellationRequested)
            {
                changed.Wait();
                while (take() is { } next)
                {
                    pending = next.Durable;
                    Write(next.Batch, next.Durable);
                }
            }
        }
        catch (Exception cause)
        {
            StoreLog.WriterEnded(logger, path, cause);
            var failure = new IOException($"nothing can be written to {path} any more ({cause.Message}); what is on disk is whole: start the service again", cause);
            failed(failure);
            pending?.TrySetException(failure);
        }
    }

    /// <summary>
    /// A commit that the disk or another process is in the way of is tried until it succeeds: nobody is told of what is not on disk.
    /// </summary>
    private void Write(StoreBatch batch, TaskCompletionSource durable)
    {
        while (true)
        {
            try
            {
                writer.Write(batch);
                durable.SetResult();
                return;
            }
            catch (SqliteException failure) when (mayPass.Contains(failure.SqliteErrorCode))
            {
                StoreLog.CommitFailed(logger, path, failure);
                if (!stopping.Token.WaitHandle.WaitOne(retryPause))
                    continue;
                durable.SetException(failure);
                return;
            }
        }
    }
}

internal static partial class StoreLog
{
    [LoggerMessage(
        EventId = 2,
        Level = LogLevel.Critical,
        Message = "Nothing is written to {Path} any more, and every call is refused until the service is started again")]
    public static partial void WriterEnded(ILogger logger, string path, Exception failure);

    [LoggerMessage(
        EventId = 1,
        Level = LogLevel.Error,
        Message = "A commit to {Path} failed and is tried again; no call is answered before it succeeds")]
    public static partial void CommitFailed(ILogger logger, string path, Exception failure);
}
