using System.Runtime.InteropServices;
using System.Text;

namespace ModelOps.ModelFiles.Gguf;

/// <summary>Writes GGUF version 3, little-endian.</summary>
public static class GgufWriter
{
    /// <summary>Writes a file that appears under <paramref name="path"/> only when complete. Entries and tensors keep their
    /// order.</summary>
    /// <param name="metadata">Values as <see cref="GgufFile.Metadata"/> has them. <c>general.alignment</c> is obeyed; 32 without
    /// it.</param>
    /// <exception cref="ArgumentException">A name, value or shape cannot be written.</exception>
    /// <exception cref="InvalidOperationException">A source wrote another number of bytes than its type and dimensions say.</exception>
    public static void Write(
        string path,
        IEnumerable<KeyValuePair<string, object>> metadata,
        IReadOnlyList<GgufTensorSource> tensors,
        CancellationToken cancellationToken = default)
    {
        var entries = metadata.ToArray();
        ThrowIfInvalid(entries, tensors);
        var alignment = entries.FirstOrDefault(entry => entry.Key == GgufFormat.AlignmentKey).Value as uint? ?? GgufFormat.DefaultAlignment;
        AtomicOutput.WriteFile(path, stream =>
        {
            WriteHeader(stream, entries, tensors, alignment);
            Pad(stream, alignment);
            foreach (var tensor in tensors)
            {
                cancellationToken.ThrowIfCancellationRequested();
                var start = stream.Position;
                tensor.WriteTo(stream);
                if (stream.Position - start != ByteCount(tensor))
                    throw new InvalidOperationException(
                        $"Tensor \"{tensor.Name}\" takes {ByteCount(tensor)} bytes; its source wrote {stream.Position - start}.");
                Pad(stream, alignment);
            }
        });
    }

    private static void WriteHeader(
        Stream stream, KeyValuePair<string, object>[] entries, IReadOnlyList<GgufTensorSource> tensors, uint alignment)
    {
        Write(stream, GgufFormat.Magic);
        Write(stream, GgufFormat.Version);
        Write(stream, (ulong)tensors.Count);
        Write(stream, (ulong)entries.Length);
        foreach (var (key, value) in entries)
        {
            WriteString(stream, key);
            WriteValue(stream, key, value);
        }

        var offset = 0L;
        foreach (var tensor in tensors)
        {
            WriteString(stream, tensor.Name);
            Write(stream, (uint)tensor.Dimensions.Length);
            foreach (var dimension in tensor.Dimensions) Write(stream, dimension);
            Write(stream, (uint)tensor.Type);
            Write(stream, offset);
            offset = GgufFormat.Align(offset + ByteCount(tensor), alignment);
        }
    }

    private static void WriteValue(Stream stream, string key, object value)
    {
        switch (value)
        {
            case byte number: WriteNumber(stream, GgufValueType.UInt8, number); break;
            case sbyte number: WriteNumber(stream, GgufValueType.Int8, number); break;
            case ushort number: WriteNumber(stream, GgufValueType.UInt16, number); break;
            case short number: WriteNumber(stream, GgufValueType.Int16, number); break;
            case uint number: WriteNumber(stream, GgufValueType.UInt32, number); break;
            case int number: WriteNumber(stream, GgufValueType.Int32, number); break;
            case ulong number: WriteNumber(stream, GgufValueType.UInt64, number); break;
            case long number: WriteNumber(stream, GgufValueType.Int64, number); break;
            case float number: WriteNumber(stream, GgufValueType.Float32, number); break;
            case double number: WriteNumber(stream, GgufValueType.Float64, number); break;
            case bool flag: WriteNumber(stream, GgufValueType.Bool, flag); break;
            case string text:
                Write(stream, (uint)GgufValueType.String);
                WriteString(stream, text);
                break;
            case Array array: WriteArray(stream, key, array); break;
            default: throw Unsupported(key, value);
        }
    }

    private static void WriteArray(Stream stream, string key, Array array)
    {
        // By exact element type: the runtime lets a uint[] pass for an int[].
        var element = array.GetType().GetElementType();
        if (element == typeof(byte)) WriteNumbers<byte>(stream, GgufValueType.UInt8, array);
        else if (element == typeof(sbyte)) WriteNumbers<sbyte>(stream, GgufValueType.Int8, array);
        else if (element == typeof(ushort)) WriteNumbers<ushort>(stream, GgufValueType.UInt16, array);
        else if (element == typeof(short)) WriteNumbers<short>(stream, GgufValueType.Int16, array);
        else if (element == typeof(uint)) WriteNumbers<uint>(stream, GgufValueType.UInt32, array);
        else if (element == typeof(int)) WriteNumbers<int>(stream, GgufValueType.Int32, array);
        else if (element == typeof(ulong)) WriteNumbers<ulong>(stream, GgufValueType.UInt64, array);
        else if (element == typeof(long)) WriteNumbers<long>(stream, GgufValueType.Int64, array);
        else if (element == typeof(float)) WriteNumbers<float>(stream, GgufValueType.Float32, array);
        else if (element == typeof(double)) WriteNumbers<double>(stream, GgufValueType.Float64, array);
        else if (element == typeof(bool)) WriteNumbers<bool>(stream, GgufValueType.Bool, array);
        else if (array is string[] texts) WriteStrings(stream, texts);
        else throw Unsupported(key, array);
    }

    private static void WriteNumber<T>(Stream stream, GgufValueType type, T value)
        where T : unmanaged
    {
        Write(stream, (uint)type);
        Write(stream, value);
    }

    private static void WriteNumbers<T>(Stream stream, GgufValueType type, Array array)
        where T : unmanaged
    {
        WriteArrayHead(stream, type, array);
        stream.Write(MemoryMarshal.AsBytes(((T[])array).AsSpan()));
    }

    private static void WriteStrings(Stream stream, string[] texts)
    {
        WriteArrayHead(stream, GgufValueType.String, texts);
        foreach (var text in texts) WriteString(stream, text);
    }

    private static void WriteArrayHead(Stream stream, GgufValueType type, Array array)
    {
        Write(stream, (uint)GgufValueType.Array);
        Write(stream, (uint)type);
        Write(stream, (ulong)array.Length);
    }

    private static void WriteString(Stream stream, string text)
    {
        var utf8 = Encoding.UTF8.GetBytes(text);
        Write(stream, (ulong)utf8.Length);
        stream.Write(utf8);
    }

    private static void Write<T>(Stream stream, T value)
        where T : unmanaged => stream.Write(MemoryMarshal.AsBytes(new ReadOnlySpan<T>(in value)));

    private static void Pad(Stream stream, uint alignment)
    {
        for (var count = GgufFormat.Align(stream.Position, alignment) - stream.Position; count > 0; count--) stream.WriteByte(0);
    }

    private static long ByteCount(GgufTensorSource tensor) => tensor.Type.TryByteCount(tensor.Dimensions, out var count)
        ? count
        : throw new ArgumentException(
            $"Tensor \"{tensor.Name}\" cannot be {tensor.Type} [{string.Join(", ", tensor.Dimensions)}].", nameof(tensor));

    private static void ThrowIfInvalid(KeyValuePair<string, object>[] entries, IReadOnlyList<GgufTensorSource> tensors)
    {
        if (entries.GroupBy(entry => entry.Key).FirstOrDefault(group => group.Count() > 1) is { } key)
            throw new ArgumentException($"Metadata \"{key.Key}\" is given twice.", nameof(entries));
        if (entries.FirstOrDefault(entry => Encoding.UTF8.GetByteCount(entry.Key) > GgufFormat.MaxKeyBytes).Key is { } longKey)
            throw new ArgumentException(
                $"The metadata key \"{longKey[..40]}…\" is longer than {GgufFormat.MaxKeyBytes} bytes.", nameof(entries));
        if (entries.FirstOrDefault(entry => entry.Key == GgufFormat.AlignmentKey).Value is { } alignment
            && !(alignment is uint number && uint.IsPow2(number)))
            throw new ArgumentException($"{GgufFormat.AlignmentKey} must be a uint power of two, found {alignment}.", nameof(entries));
        if (tensors.GroupBy(tensor => tensor.Name).FirstOrDefault(group => group.Count() > 1) is { } name)
            throw new ArgumentException($"Two tensors are called \"{name.Key}\".", nameof(tensors));
        foreach (var tensor in tensors)
        {
            if (Encoding.UTF8.GetByteCount(tensor.Name) > GgufFormat.MaxTensorNameBytes)
                throw new ArgumentException(
                    $"The tensor name \"{tensor.Name}\" is longer than {GgufFormat.MaxTensorNameBytes} bytes.", nameof(tensors));
            if (!tensor.Type.IsKnown()
                || tensor.Dimensions.Length > GgufFormat.MaxDimensions
                || tensor.Dimensions.Any(dimension => dimension < 0) || !tensor.Type.TryByteCount(tensor.Dimensions, out _))
                throw new ArgumentException(
                    $"Tensor \"{tensor.Name}\" cannot be {tensor.Type} [{string.Join(", ", tensor.Dimensions)}].", nameof(tensors));
        }
    }

    private static ArgumentException Unsupported(string key, object value) =>
        new($"Metadata \"{key}\": GGUF has no type for {value.GetType().Name}.", nameof(value));
}
