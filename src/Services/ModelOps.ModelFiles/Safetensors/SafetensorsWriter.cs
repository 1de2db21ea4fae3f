using System.Buffers;
using System.Buffers.Binary;
using System.Text.Json;

namespace ModelOps.ModelFiles.Safetensors;

public static class SafetensorsWriter
{
    private const int Alignment = 8;

    /// <summary>Writes a file that appears under <paramref name="path"/> only when complete. Tensors are laid out by falling element
    /// size, then by name, and the data part starts at a multiple of 8: every tensor is aligned to its element, as Hugging Face lays them
    /// out.</summary>
    /// <exception cref="ArgumentException">Two tensors have one name, or a name or shape is not allowed.</exception>
    /// <exception cref="InvalidOperationException">A source wrote another number of bytes than its dtype and shape say.</exception>
    public static void Write(
        string path,
        IEnumerable<TensorSource> tensors,
        IReadOnlyDictionary<string, string>? metadata = null,
        CancellationToken cancellationToken = default)
    {
        var ordered = tensors
            .OrderByDescending(tensor => tensor.Dtype.Size())
            .ThenBy(tensor => tensor.Name, StringComparer.Ordinal)
            .ToArray();
        ThrowIfInvalid(ordered);
        var header = WriteHeader(ordered, metadata);
        AtomicOutput.WriteFile(path, stream =>
        {
            Span<byte> prefix = stackalloc byte[SafetensorsHeader.PrefixLength];
            BinaryPrimitives.WriteUInt64LittleEndian(prefix, (ulong)header.Length);
            stream.Write(prefix);
            stream.Write(header);
            foreach (var tensor in ordered)
            {
                cancellationToken.ThrowIfCancellationRequested();
                var start = stream.Position;
                tensor.WriteTo(stream);
                if (stream.Position - start != ByteCount(tensor))
                    throw new InvalidOperationException(
                        $"Tensor \"{tensor.Name}\" takes {ByteCount(tensor)} bytes; its source wrote {stream.Position - start}.");
            }
        });
    }

    private static byte[] WriteHeader(TensorSource[] tensors, IReadOnlyDictionary<string, string>? metadata)
    {
        var buffer = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(buffer))
        {
            json.WriteStartObject();
            if (metadata is { Count: > 0 })
            {
                json.WriteStartObject(SafetensorsHeader.MetadataName);
                foreach (var (name, value) in metadata.OrderBy(entry => entry.Key, StringComparer.Ordinal)) json.WriteString(name, value);
                json.WriteEndObject();
            }

            var offset = 0L;
            foreach (var tensor in tensors)
            {
                json.WriteStartObject(tensor.Name);
                json.WriteString("dtype", tensor.Dtype.Name());
                WriteNumbers(json, "shape", tensor.Shape);
                WriteNumbers(json, "data_offsets", [offset, offset += ByteCount(tensor)]);
                json.WriteEndObject();
            }

            json.WriteEndObject();
        }

        var padding = -buffer.WrittenCount & (Alignment - 1);
        buffer.Write("       "u8[..padding]);
        return buffer.WrittenSpan.ToArray();
    }

    private static void WriteNumbers(Utf8JsonWriter json, string name, ReadOnlySpan<long> numbers)
    {
        json.WriteStartArray(name);
        foreach (var number in numbers) json.WriteNumberValue(number);
        json.WriteEndArray();
    }

    private static long ByteCount(TensorSource tensor) => SafetensorsHeader.TryByteCount(tensor.Dtype, tensor.Shape, out var count)
        ? count
        : throw new ArgumentException(
            $"Tensor \"{tensor.Name}\": a shape of [{string.Join(", ", tensor.Shape)}] is too large.", nameof(tensor));

    private static void ThrowIfInvalid(TensorSource[] tensors)
    {
        var names = new HashSet<string>();
        foreach (var tensor in tensors)
        {
            if (tensor.Name == SafetensorsHeader.MetadataName)
                throw new ArgumentException($"A tensor cannot be called {tensor.Name}.", nameof(tensors));
            if (!names.Add(tensor.Name)) throw new ArgumentException($"Two tensors are called \"{tensor.Name}\".", nameof(tensors));
            if (tensor.Shape.Any(dimension => dimension < 0))
                throw new ArgumentException(
                    $"Tensor \"{tensor.Name}\": negative dimension in [{string.Join(", ", tensor.Shape)}].", nameof(tensors));
        }
    }
}
