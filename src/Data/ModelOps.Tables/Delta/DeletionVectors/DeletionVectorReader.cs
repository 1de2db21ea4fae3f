using System.Buffers.Binary;
using ModelOps.Storage;

namespace ModelOps.Tables.Delta;

/// <summary>The deleted rows that a descriptor in the log stands for (PROTOCOL.md, "Deletion Vectors").</summary>
internal static class DeletionVectorReader
{
    private const int UuidLength = 20;
    private static readonly uint[] CrcTable = [.. Enumerable.Range(0, 256).Select(i => CrcOfByte((uint)i))];

    /// <exception cref="DeltaException">It is not there, broken, or outside of the table.</exception>
    public static async Task<RowSet> ReadAsync(
        IObjectStore store, TablePaths paths, DeletionVector vector, string file, CancellationToken cancellationToken)
    {
        try
        {
            var bytes = KeyOf(paths, vector) is { } key
                ? await StoredAsync(store, key, vector, cancellationToken).ConfigureAwait(false)
                : Inline(vector);
            var rows = RowSet.Parse(bytes);
            return rows.Count == vector.Cardinality
                ? rows
                : throw new FormatException($"it has {rows.Count} rows where the log says {vector.Cardinality}");
        }
        catch (Exception e) when (e is FormatException or ArgumentException)
        {
            throw new DeltaException($"the deletion vector of {file} cannot be read: {e.Message}", e);
        }
    }

    /// <returns>null: it stands in the log.</returns>
    /// <exception cref="DeltaException">It is outside of the table, or of a kind that is not known.</exception>
    public static string? KeyOf(TablePaths paths, DeletionVector vector) => vector.StorageType switch
    {
        "i" => null,
        "u" => paths.KeyOf(RelativePath(vector.PathOrInlineDv)),
        "p" => paths.KeyOf(vector.PathOrInlineDv),
        var other => throw new DeltaException($"{paths.Table}: the storage type {other} of a deletion vector is not known"),
    };

    private static string RelativePath(string text)
    {
        try
        {
            var (prefix, uuid) = (text[..Math.Max(0, text.Length - UuidLength)], new Guid(Z85.Decode(text.AsSpan(Math.Max(0, text.Length - UuidLength))), bigEndian: true));
            return $"{(prefix.Length == 0 ? "" : $"{Uri.EscapeDataString(prefix)}/")}deletion_vector_{uuid}.bin";
        }
        catch (Exception e) when (e is FormatException or ArgumentException)
        {
            throw new DeltaException($"a deletion vector is in '{text}', which has no UUID: {e.Message}", e);
        }
    }

    private static ReadOnlyMemory<byte> Inline(DeletionVector vector)
    {
        var bytes = Z85.Decode(vector.PathOrInlineDv);
        return vector.SizeInBytes >= 0 && vector.SizeInBytes <= bytes.Length
            ? bytes.AsMemory(0, vector.SizeInBytes)
            : throw new FormatException($"it has {bytes.Length} bytes where the log says {vector.SizeInBytes}");
    }

    /// <summary>Length, bitmap, CRC-32; the two numbers big endian.</summary>
    private static async Task<ReadOnlyMemory<byte>> StoredAsync(
        IObjectStore store, string key, DeletionVector vector, CancellationToken cancellationToken)
    {
        var (offset, size) = (vector.Offset ?? 0, vector.SizeInBytes);
        var info = await store.HeadAsync(key, cancellationToken).ConfigureAwait(false) ?? throw new FormatException($"{key} is not there");
        if (offset < 0 || size < 0 || (long)offset + size + 8 > info.Size)
            throw new FormatException($"{key} has {info.Size} bytes: too few for {size} at {offset}");
        var source = await store.OpenReadAsync(key, offset, size + 8, cancellationToken).ConfigureAwait(false)
            ?? throw new FormatException($"{key} is not there");
        var bytes = new byte[size + 8];
        await using (source.ConfigureAwait(false)) await source.ReadExactlyAsync(bytes, cancellationToken).ConfigureAwait(false);
        var bitmap = bytes.AsMemory(4, size);
        if (BinaryPrimitives.ReadInt32BigEndian(bytes) is var length && length != size)
            throw new FormatException($"{key} has {length} bytes at {offset} where the log says {size}");
        return Crc32(bitmap.Span) == BinaryPrimitives.ReadUInt32BigEndian(bytes.AsSpan(size + 4))
            ? bitmap
            : throw new FormatException($"{key} is damaged at {offset}: the checksum differs");
    }

    private static uint Crc32(ReadOnlySpan<byte> bytes)
    {
        var crc = uint.MaxValue;
        foreach (var value in bytes) crc = (crc >> 8) ^ CrcTable[(byte)crc ^ value];
        return ~crc;
    }

    private static uint CrcOfByte(uint value)
    {
        for (var bit = 0; bit < 8; bit++) value = (value & 1) != 0 ? (value >> 1) ^ 0xEDB88320 : value >> 1;
        return value;
    }
}
