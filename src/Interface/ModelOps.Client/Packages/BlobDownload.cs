using System.Net.Http.Headers;
using System.Security.Cryptography;

namespace ModelOps.Client;

/// <summary>A blob as a stream: goes on where a broken connection left off, and fails at its end when the bytes are not the announced ones.</summary>
internal sealed class BlobDownload(ApiConnection connection, ArtifactFile file, IProgress<UploadProgress>? progress, CancellationToken stop) : Stream
{
    private readonly IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
    private HttpResponseMessage? response;
    private Stream? body;
    private long read;
    private int failures;

    public override bool CanRead => true;
    // A tar that goes to the network asks its entries for their length, and only streams that seek for that. Nobody seeks.
    public override bool CanSeek => true;
    public override bool CanWrite => false;
    public override long Length => file.Size;
    public override long Position { get => read; set => throw new NotSupportedException(); }

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        var count = await ReadSomeAsync(buffer, cancellationToken).ConfigureAwait(false);
        if (count == 0 && buffer.Length > 0)
        {
            CheckEnd();
            return 0;
        }
        hash.AppendData(buffer.Span[..count]);
        read += count;
        progress?.Report(new UploadProgress(file.Path, read, file.Size));
        return read <= file.Size ? count : throw Mismatch($"more than {file.Size} bytes came");
    }

    public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
        ReadAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException("Read it asynchronously.");
    public override void Flush() => throw new NotSupportedException();
    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();
    public override void SetLength(long value) => throw new NotSupportedException();
    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            body?.Dispose();
            response?.Dispose();
            hash.Dispose();
        }
        base.Dispose(disposing);
    }

    private async ValueTask<int> ReadSomeAsync(Memory<byte> buffer, CancellationToken cancellationToken)
    {
        while (true)
        {
            if (read == file.Size && read > 0)
                return 0;
            body ??= await OpenAsync().ConfigureAwait(false);
            try
            {
                var count = await body.ReadAsync(buffer, cancellationToken).ConfigureAwait(false);
                failures = count > 0 ? 0 : failures;
                return count;
            }
            catch (Exception broken) when (broken is IOException or HttpRequestException)
            {
                if (++failures >= connection.Options.Attempts)
                    throw connection.Unreachable(broken);
                await body.DisposeAsync().ConfigureAwait(false);
                response?.Dispose();
                (body, response) = (null, null);
                await Task.Delay(connection.Options.DelayAfter(failures), connection.Options.Time, cancellationToken).ConfigureAwait(false);
            }
        }
    }

    private async Task<Stream> OpenAsync()
    {
        response = await connection.SendAsync(
            () =>
            {
                var request = new HttpRequestMessage(HttpMethod.Get, $"api/v1/blobs/{file.Sha256}");
                if (read > 0)
                    request.Headers.Range = new RangeHeaderValue(read, to: null);
                return request;
            },
            stop).ConfigureAwait(false);
        return await response.Content.ReadAsStreamAsync(stop).ConfigureAwait(false);
    }

    private void CheckEnd()
    {
        var actual = Convert.ToHexStringLower(hash.GetCurrentHash());
        if (read != file.Size || actual != file.Sha256)
            throw Mismatch($"{read} bytes with the SHA-256 {actual} came, and the manifest says {file.Size} bytes with {file.Sha256}");
    }

    private ModelOpsException Mismatch(string found) => new(new Problem
    {
        Type = ProblemTypes.VerificationFailed,
        Title = "Verification failed",
        Detail = $"{file.Path} was changed: {found}.",
    });
}
