using System.Globalization;
using System.Text;
using Microsoft.AspNetCore.WebUtilities;
using Microsoft.Net.Http.Headers;
using ModelOps.Registry;
using ModelOps.Server.OpenAI;

namespace ModelOps.Server.Files;

/// <summary>The parts of an upload. The file goes to the object store as it comes, wherever it stands among the fields.</summary>
internal sealed class UploadForm : IAsyncDisposable
{
    private const int LongestField = 1024;
    private const string FilePart = "file";
    private readonly Dictionary<string, string> fields = new(StringComparer.Ordinal);

    private UploadForm()
    {
    }

    public StagedBlob? Content { get; private set; }

    public string FileName { get; private set; } = "";

    public string? Purpose => fields.GetValueOrDefault("purpose");

    /// <summary>Whether this is a form with a file.</summary>
    public static bool Is(HttpRequest request) => BoundaryOf(request) is not null;

    /// <exception cref="BadHttpRequestException">The body is no form, or ends early.</exception>
    /// <exception cref="ContentTooLongException">The file is longer than it may be.</exception>
    public static async Task<UploadForm> ReadAsync(HttpRequest request, BlobStore blobs, FilesOptions options, Faults faults, CancellationToken cancellationToken)
    {
        var form = new UploadForm();
        try
        {
            var reader = new MultipartReader(BoundaryOf(request)!, request.Body);
            while (await Body(() => reader.ReadNextSectionAsync(cancellationToken)) is { } section) await form.TakeAsync(section, blobs, options, faults, cancellationToken);
            if (form.Content is null) faults.Add(FilePart, "is missing: a part of that name with a filename");
            return form;
        }
        catch
        {
            await form.DisposeAsync();
            throw;
        }
    }

    /// <returns>How long the file stays; null: until it is deleted.</returns>
    public TimeSpan? ExpiresAfter(Faults faults)
    {
        var (anchor, seconds) = (fields.GetValueOrDefault("expires_after[anchor]"), fields.GetValueOrDefault("expires_after[seconds]"));
        if (anchor is null && seconds is null) return null;
        if (anchor != "created_at") faults.Add("expires_after.anchor", $"must be created_at, not '{anchor}'");
        if (int.TryParse(seconds, NumberStyles.None, CultureInfo.InvariantCulture, out var value) && value is >= 3600 and <= 2_592_000) return TimeSpan.FromSeconds(value);
        faults.Add("expires_after.seconds", $"must be from 3600 to 2592000, not '{seconds}'");
        return null;
    }

    public async ValueTask DisposeAsync()
    {
        if (Content is not null) await Content.DisposeAsync();
    }

    private async Task TakeAsync(MultipartSection section, BlobStore blobs, FilesOptions options, Faults faults, CancellationToken cancellationToken)
    {
        var name = section.GetContentDispositionHeader()?.Name is { HasValue: true } said ? HeaderUtilities.RemoveQuotes(said).ToString() : "";
        if (name == FilePart && section.AsFileSection() is { } file)
        {
            if (Content is not null)
            {
                faults.Add(FilePart, "is there twice; upload one file at a time");
                return;
            }
            await using var part = new FormPart(section.Body);
            (Content, FileName) = (await blobs.StageAsync(part, options.MaxBytes, cancellationToken), Path.GetFileName(file.FileName));
            return;
        }
        if (name is "purpose" or "expires_after[anchor]" or "expires_after[seconds]") fields[name] = await FieldAsync(section, cancellationToken);
        else faults.Add(name.Length > 0 ? name : FilePart, "is not offered by this server; leave it out");
    }

    private static async Task<string> FieldAsync(MultipartSection section, CancellationToken cancellationToken)
    {
        var buffer = new byte[LongestField];
        await using var part = new FormPart(section.Body);
        var length = await part.ReadAtLeastAsync(buffer, buffer.Length, throwOnEndOfStream: false, cancellationToken);
        return Encoding.UTF8.GetString(buffer, 0, length);
    }

    private static string? BoundaryOf(HttpRequest request) =>
        MediaTypeHeaderValue.TryParse(request.ContentType, out var type) && type.MediaType.Equals("multipart/form-data", StringComparison.OrdinalIgnoreCase)
        && HeaderUtilities.RemoveQuotes(type.Boundary) is { Length: > 0 } boundary
            ? boundary.ToString()
            : null;

    private static async Task<T> Body<T>(Func<Task<T>> read)
    {
        try
        {
            return await read();
        }
        catch (Exception e) when (e is InvalidDataException or IOException and not BadHttpRequestException)
        {
            throw new BadHttpRequestException($"the body is no whole form of multipart/form-data: {e.Message}", e);
        }
    }

    /// <summary>What is wrong with the body is the client's fault; else it would look like one of the object store that the part goes to.</summary>
    private sealed class FormPart(Stream part) : Stream
    {
        public override bool CanRead => true;
        public override bool CanSeek => false;
        public override bool CanWrite => false;
        public override long Length => throw new NotSupportedException();
        public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }

        public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) =>
            await Body(() => part.ReadAsync(buffer, cancellationToken).AsTask());

        public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
            ReadAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

        public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException("a request is read asynchronously");
        public override void Flush() => throw new NotSupportedException();
        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();
        public override void SetLength(long value) => throw new NotSupportedException();
        public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
    }
}
