using System.Text.Json;
using ModelOps.Client;
using ModelOps.Registry;
using ModelOps.Server.Hosting;
using ModelOps.Tables.Datasets;
using ModelOps.Tables.Datasets.Queries;
using IngestionOptions = ModelOps.Tables.Datasets.IngestionOptions;

namespace ModelOps.Server.Datasets;

public abstract record PreviewOutcome
{
    private PreviewOutcome()
    {
    }

    public sealed record Previewed(Client.DatasetPreview Preview) : PreviewOutcome;

    public sealed record Refused(IReadOnlyList<string> Errors) : PreviewOutcome;

    /// <summary>Nothing is stored under this digest.</summary>
    public sealed record NoSuchFile : PreviewOutcome;
}

/// <summary>
/// Looks into the beginning of uploaded files, as an ingestion would read them. What somebody sent is read in a process with the limits of a query's.
/// </summary>
public sealed class DatasetPreviews(BlobStore blobs, ServerHome home, QueryOptions options, TimeProvider time) : IDisposable
{
    /// <summary>Most rows that are read.</summary>
    public const int Rows = 2000;

    private const long Bytes = 32 << 20;
    private readonly SemaphoreSlim turns = new(options.Concurrency);

    /// <param name="taken">Checked before.</param>
    public async Task<PreviewOutcome> RunAsync(string sha256, string fileName, IngestionOptions taken, CancellationToken cancellationToken)
    {
        using var timeout = new CancellationTokenSource(options.Timeout, time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(timeout.Token, cancellationToken);
        try
        {
            await turns.WaitAsync(both.Token);
            try
            {
                return await LookAsync(sha256, fileName, taken, both.Token);
            }
            finally
            {
                turns.Release();
            }
        }
        catch (OperationCanceledException) when (timeout.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
        {
            return new PreviewOutcome.Refused([$"the preview took longer than {options.Timeout.TotalSeconds:0} s (queries:timeout)"]);
        }
    }

    public void Dispose() => turns.Dispose();

    private async Task<PreviewOutcome> LookAsync(string sha256, string fileName, IngestionOptions taken, CancellationToken cancellationToken)
    {
        var folder = Directory.CreateDirectory(Path.Combine(home.Root, "tmp", "previews"), UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        var path = Path.Combine(folder.FullName, $"{Guid.NewGuid():N}");
        try
        {
            if (await CopyAsync(sha256, path, cancellationToken) is not { } whole) return new PreviewOutcome.NoSuchFile();
            using var process = new QueryProcess(options);
            var request = new FilePreview(path, new PreviewRequest(fileName, taken, Rows, whole ? null : Bytes));
            return await process.AskAsync(new(Preview: request), cancellationToken) switch
            {
                QueryAnswer.Previewed { Preview: { Report: null, Errors: var errors } } => new PreviewOutcome.Refused(errors),
                QueryAnswer.Previewed previewed => new PreviewOutcome.Previewed(ToWire(previewed.Preview)),
                null => new PreviewOutcome.Refused([$"{fileName} cannot be previewed within {options.MemoryBytes / 1_000_000} MB of memory (queries:memory_bytes); {await process.HowItEndedAsync()}"]),
                var other => throw new InvalidOperationException($"{other} is no answer to this"),
            };
        }
        finally
        {
            File.Delete(path);
        }
    }

    /// <returns>Whether that was all of it; null: nothing is stored under the digest.</returns>
    private async Task<bool?> CopyAsync(string sha256, string path, CancellationToken cancellationToken)
    {
        await using var source = await blobs.OpenAsync(sha256, cancellationToken);
        if (source is null) return null;
        await using var target = new FileStream(path, FileMode.CreateNew, FileAccess.Write, FileShare.None, bufferSize: 0, FileOptions.Asynchronous);
        var buffer = new byte[1 << 20];
        for (var left = Bytes; left > 0;)
        {
            var read = await source.ReadAsync(buffer.AsMemory(0, (int)Math.Min(left, buffer.Length)), cancellationToken);
            if (read == 0) return true;
            await target.WriteAsync(buffer.AsMemory(0, read), cancellationToken);
            left -= read;
        }
        return await source.ReadAsync(buffer.AsMemory(0, 1), cancellationToken) == 0;
    }

    private static Client.DatasetPreview ToWire(Tables.Datasets.DatasetPreview preview) =>
        JsonSerializer.SerializeToElement(preview, QueryJson.Default.DatasetPreview).Deserialize(WireJson.Default.DatasetPreview)!;
}
