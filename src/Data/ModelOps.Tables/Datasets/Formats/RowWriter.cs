using System.Buffers;
using System.Text.Json;

namespace ModelOps.Tables.Datasets.Formats;

/// <summary>Writes rows as JSON objects, each over the one before.</summary>
internal sealed class RowWriter : IDisposable
{
    private readonly ArrayBufferWriter<byte> json = new();
    private readonly Utf8JsonWriter writer;

    public RowWriter() => writer = new(json);

    /// <returns>Valid until the next row is written.</returns>
    public ReadOnlyMemory<byte> Write(Action<Utf8JsonWriter> writeFields)
    {
        json.ResetWrittenCount();
        writer.Reset();
        writer.WriteStartObject();
        writeFields(writer);
        writer.WriteEndObject();
        writer.Flush();
        return json.WrittenMemory;
    }

    public void Dispose() => writer.Dispose();
}
