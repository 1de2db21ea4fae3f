using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text;
using Microsoft.Win32.SafeHandles;

namespace ModelOps.ModelFiles.Gguf;

/// <summary>Reads a header from front to back; no length is believed beyond what the file has left.</summary>
internal sealed class GgufCursor(string path, SafeFileHandle handle)
{
    private const int BufferBytes = 1 << 16;

    private static readonly UTF8Encoding StrictUtf8 = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    private readonly byte[] buffer = new byte[BufferBytes];
    private long bufferStart;
    private int bufferCount;

    public long Length { get; } = RandomAccess.GetLength(handle);

    public long Position { get; private set; }

    private long Remaining => Length - Position;

    public InvalidModelFileException Error(string what) => new(path, what);

    public T Read<T>()
        where T : unmanaged
    {
        T value = default;
        Fill(MemoryMarshal.AsBytes(new Span<T>(ref value)));
        return value;
    }

    /// <param name="minBytes">Bytes that each of the counted things takes at least.</param>
    public int ReadCount(string what, int minBytes)
    {
        var count = Read<ulong>();
        if (count > (ulong)(Remaining / minBytes) || count > (ulong)Array.MaxLength)
            throw Error($"{count} {what} cannot stand in the {Remaining} bytes after byte {Position}");
        return (int)count;
    }

    public string ReadName(string what, int maxBytes)
    {
        var bytes = ReadStringBytes();
        if (bytes.Length > maxBytes)
            throw Error($"a {what} before byte {Position} has {bytes.Length} bytes, at most {maxBytes} are allowed");
        try
        {
            return StrictUtf8.GetString(bytes);
        }
        catch (DecoderFallbackException exception)
        {
            throw new InvalidModelFileException(path, $"a {what} before byte {Position} is not UTF-8", exception);
        }
    }

    public object ReadScalar(string key, GgufValueType type) => type switch
    {
        GgufValueType.UInt8 => Read<byte>(),
        GgufValueType.Int8 => Read<sbyte>(),
        GgufValueType.UInt16 => Read<ushort>(),
        GgufValueType.Int16 => Read<short>(),
        GgufValueType.UInt32 => Read<uint>(),
        GgufValueType.Int32 => Read<int>(),
        GgufValueType.Float32 => Read<float>(),
        GgufValueType.Bool => Read<byte>() != 0,
        GgufValueType.String => ReadString(),
        GgufValueType.UInt64 => Read<ulong>(),
        GgufValueType.Int64 => Read<long>(),
        GgufValueType.Float64 => Read<double>(),
        _ => throw Error($"metadata \"{key}\" has the unknown type {(uint)type}"),
    };

    public object ReadArray(string key)
    {
        var type = (GgufValueType)Read<uint>();
        return type switch
        {
            GgufValueType.UInt8 => ReadNumbers<byte>(),
            GgufValueType.Int8 => ReadNumbers<sbyte>(),
            GgufValueType.UInt16 => ReadNumbers<ushort>(),
            GgufValueType.Int16 => ReadNumbers<short>(),
            GgufValueType.UInt32 => ReadNumbers<uint>(),
            GgufValueType.Int32 => ReadNumbers<int>(),
            GgufValueType.Float32 => ReadNumbers<float>(),
            GgufValueType.Bool => Array.ConvertAll(ReadNumbers<byte>(), value => value != 0),
            GgufValueType.String => ReadStrings(),
            GgufValueType.UInt64 => ReadNumbers<ulong>(),
            GgufValueType.Int64 => ReadNumbers<long>(),
            GgufValueType.Float64 => ReadNumbers<double>(),
            GgufValueType.Array => throw Error($"metadata \"{key}\" is an array of arrays, which is not supported"),
            _ => throw Error($"metadata \"{key}\" is an array of the unknown type {(uint)type}"),
        };
    }

    private T[] ReadNumbers<T>()
        where T : unmanaged
    {
        var values = new T[ReadCount("array elements", Unsafe.SizeOf<T>())];
        Fill(MemoryMarshal.AsBytes(values.AsSpan()));
        return values;
    }

    private string[] ReadStrings()
    {
        var values = new string[ReadCount("strings", sizeof(ulong))];
        for (var i = 0; i < values.Length; i++) values[i] = ReadString();
        return values;
    }

    private string ReadString() => Encoding.UTF8.GetString(ReadStringBytes());

    private byte[] ReadStringBytes()
    {
        var bytes = new byte[ReadCount("bytes of text", 1)];
        Fill(bytes);
        return bytes;
    }

    private void Fill(Span<byte> destination)
    {
        if (destination.Length > Remaining)
            throw Error($"truncated: {destination.Length} bytes are expected at byte {Position}, the file ends at {Length}");
        while (destination.Length > 0)
        {
            var at = (int)(Position - bufferStart);
            if (at >= bufferCount)
            {
                bufferStart = Position;
                bufferCount = (int)Math.Min(BufferBytes, Remaining);
                FileReads.ReadExactly(path, handle, bufferStart, buffer.AsSpan(0, bufferCount));
                at = 0;
            }

            var count = Math.Min(destination.Length, bufferCount - at);
            buffer.AsSpan(at, count).CopyTo(destination);
            destination = destination[count..];
            Position += count;
        }
    }
}
