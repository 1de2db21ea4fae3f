using System.Buffers;
using System.Net;
using System.Net.Http.Headers;

namespace ModelOps.Client;

/// <summary>A file as a request body: opened when sent, read in pieces, reported as it goes.</summary>
internal sealed class FileContent : HttpContent
{
    private const int BufferSize = 256 * 1024;

    private readonly string path;
    private readonly ArtifactFile file;
    private readonly IProgress<UploadProgress>? progress;

    public FileContent(string path, ArtifactFile file, IProgress<UploadProgress>? progress)
    {
        this.path = path;
        this.file = file;
        this.progress = progress;
        Headers.ContentType = new MediaTypeHeaderValue("application/octet-stream");
    }

    public static FileStream OpenToRead(string path) => new(path, new FileStreamOptions
    {
        Mode = FileMode.Open,
        Access = FileAccess.Read,
        Share = FileShare.Read,
        BufferSize = 0, // every reader brings its own large buffer
        Options = FileOptions.Asynchronous | FileOptions.SequentialScan,
    });

    protected override Task SerializeToStreamAsync(Stream stream, TransportContext? context) =>
        SerializeToStreamAsync(stream, context, CancellationToken.None);

    protected override async Task SerializeToStreamAsync(Stream stream, TransportContext? context, CancellationToken cancellationToken)
    {
        var buffer = ArrayPool<byte>.Shared.Rent(BufferSize);
        try
        {
            var source = OpenToSend();
            await using (source.ConfigureAwait(false))
            {
                if (source.Length != file.Size)
                {
                    throw Fault($"The file {path} had {file.Size} bytes when it was hashed and has {source.Length} now; push again.");
                }
                int read;
                while ((read = await ReadAsync(source, buffer, cancellationToken).ConfigureAwait(false)) > 0)
                {
                    await stream.WriteAsync(buffer.AsMemory(0, read), cancellationToken).ConfigureAwait(false);
                    progress?.Report(new UploadProgress(file.Path, source.Position, file.Size));
                }
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    protected override bool TryComputeLength(out long length)
    {
        length = file.Size;
        return true;
    }

    // HttpClient takes an IOException of a body for a broken connection and tries again: a file's fault must not look like one.
    private async ValueTask<int> ReadAsync(FileStream source, byte[] buffer, CancellationToken cancellationToken)
    {
        try
        {
            return await source.ReadAsync(buffer, cancellationToken).ConfigureAwait(false);
        }
        catch (IOException exception)
        {
            throw Unreadable(exception);
        }
    }

    private FileStream OpenToSend()
    {
        try
        {
            return OpenToRead(path);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw Unreadable(exception);
        }
    }

    private ModelOpsException Unreadable(Exception cause) => Fault($"The file {path} cannot be read: {cause.Message}", cause);

    private static ModelOpsException Fault(string detail, Exception? cause = null) =>
        new(new Problem { Type = ProblemTypes.Invalid, Title = "File cannot be sent", Detail = detail }, cause);
}
