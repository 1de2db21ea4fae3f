using System.Text.Encodings.Web;
using System.Text.Json;

namespace ModelOps.ModelFiles;

internal static class JsonFile
{
    // As the Python tools write: indented, non-ASCII kept. These files are never put into HTML.
    public static readonly JsonWriterOptions Written =
        new() { Indented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    private static readonly JsonDocumentOptions Strict = new() { AllowDuplicateProperties = false };

    /// <exception cref="InvalidModelFileException">The file is not a JSON object, or <paramref name="read"/> finds errors.</exception>
    public static T Read<T>(string path, Func<JsonElement, T> read) => Parse(path, File.ReadAllBytes(path), read);

    public static T Parse<T>(string path, ReadOnlyMemory<byte> utf8, Func<JsonElement, T> read)
    {
        try
        {
            using var document = JsonDocument.Parse(utf8, Strict);
            if (document.RootElement.ValueKind != JsonValueKind.Object)
                throw new InvalidModelFileException(path, $"a JSON object is expected, found {document.RootElement.ValueKind}");
            return read(document.RootElement);
        }
        catch (JsonException exception)
        {
            throw new InvalidModelFileException(path, $"not valid JSON: {exception.Message}", exception);
        }
        catch (InvalidOperationException exception)
        {
            // What System.Text.Json throws when a string's bytes or escapes are not Unicode; kinds are checked before reads.
            throw new InvalidModelFileException(path, $"a JSON string is not valid Unicode: {exception.Message}", exception);
        }
    }

    public static void Write(string path, Action<Utf8JsonWriter> write) => AtomicOutput.WriteFile(path, stream => Write(stream, write));

    public static void Write(Stream stream, Action<Utf8JsonWriter> write)
    {
        using var json = new Utf8JsonWriter(stream, Written);
        write(json);
        json.Flush();
        stream.WriteByte((byte)'\n');
    }
}
