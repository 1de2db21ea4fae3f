using System.Buffers.Binary;
using System.Numerics;

namespace ModelOps.Tables.Delta;

/// <summary>
/// Row numbers of a file: a 64-bit Roaring bitmap in the portable format, with Delta's magic number before it (PROTOCOL.md, "Deletion Vector
/// Format"; RoaringFormatSpec). It stays as small as it was written: blocks of 65,536 rows are unpacked when they are asked for.
/// </summary>
internal sealed class RowSet
{
    private const uint Magic = 1681511377;
    private const uint CookieWithRuns = 12347;
    private const uint CookieWithoutRuns = 12346;
    private const int OffsetsFromContainers = 4; // with runs and fewer containers there is no table of offsets
    private const int ArrayLimit = 4096;
    private const int BlockRows = 1 << 16;
    private const int BlockWords = BlockRows / 64;

    // By the number of the block of 65,536 rows: where it begins, how many rows it has (0: as runs).
    private readonly Dictionary<long, (int Start, int Count)> blocks = [];
    private readonly ReadOnlyMemory<byte> bytes;
    private readonly ulong[] bits = new ulong[BlockWords];
    private long unpacked = -1;

    private RowSet(ReadOnlyMemory<byte> bytes) => this.bytes = bytes;

    /// <summary>How many rows it has.</summary>
    public long Count { get; private set; }

    /// <exception cref="FormatException">The bytes are no such bitmap.</exception>
    public static RowSet Parse(ReadOnlyMemory<byte> bytes)
    {
        var rows = new RowSet(bytes);
        rows.ReadBuckets();
        return rows;
    }

    public bool Contains(long row)
    {
        var block = row / BlockRows;
        if (!blocks.ContainsKey(block)) return false;
        Unpack(block);
        var at = (int)(row % BlockRows);
        return (bits[at / 64] >> (at % 64) & 1) != 0;
    }

    /// <summary>1. Magic number and buckets: the upper 32 bits of a row's number, then a 32-bit bitmap of the lower ones.</summary>
    private void ReadBuckets()
    {
        var reader = new Reader(bytes.Span);
        if (reader.UInt32() is var magic && magic != Magic) throw new FormatException($"it begins with {magic} where {Magic} should be");
        var last = -1L;
        for (var left = reader.UInt64(); left > 0; left--)
        {
            var key = reader.UInt32();
            if (key > int.MaxValue || key <= last) throw new FormatException("its buckets are out of order");
            last = key;
            ReadBucket(ref reader, key);
        }
        if (reader.At != bytes.Length) throw new FormatException($"{bytes.Length - reader.At} bytes are left over");
    }

    /// <summary>2. Which containers there are: keys, counts, and which of them are runs.</summary>
    private void ReadBucket(ref Reader reader, uint bucket)
    {
        var cookie = reader.UInt32();
        var hasRuns = (cookie & 0xFFFF) == CookieWithRuns;
        if (!hasRuns && cookie != CookieWithoutRuns) throw new FormatException($"it has a bitmap of kind {cookie}");
        var size = hasRuns ? (cookie >> 16) + 1 : reader.UInt32();
        if (size > BlockRows) throw new FormatException($"it has {size} containers");
        var isRun = hasRuns ? reader.Take((int)(size + 7) / 8) : default;
        var headers = reader.Take((int)size * 4);
        if (!hasRuns || size >= OffsetsFromContainers) reader.Take((int)size * 4);
        var last = -1;
        for (var i = 0; i < size; i++)
        {
            var key = BinaryPrimitives.ReadUInt16LittleEndian(headers[(i * 4)..]);
            var count = BinaryPrimitives.ReadUInt16LittleEndian(headers[((i * 4) + 2)..]) + 1;
            if (key <= last) throw new FormatException("its containers are out of order");
            last = key;
            ReadContainer(ref reader, ((long)bucket << 16) | key, count, hasRuns && (isRun[i / 8] >> (i % 8) & 1) != 0);
        }
    }

    /// <summary>3. Where each is, and whether it has as many rows as it says.</summary>
    private void ReadContainer(ref Reader reader, long block, int count, bool isRun)
    {
        var start = reader.At;
        if (isRun) reader.Take(reader.UInt16() * 4);
        else reader.Take(count > ArrayLimit ? BlockWords * sizeof(ulong) : count * sizeof(ushort));
        blocks.Add(block, (start, isRun ? 0 : count));
        Unpack(block);
        var found = 0;
        foreach (var word in bits) found += BitOperations.PopCount(word);
        if (found != count) throw new FormatException($"a container has {found} rows and says {count}");
        Count += count;
    }

    private void Unpack(long block)
    {
        if (block == unpacked) return;
        unpacked = block;
        Array.Clear(bits);
        var (start, count) = blocks[block];
        var reader = new Reader(bytes.Span[start..]);
        if (count == 0) UnpackRuns(ref reader);
        else if (count > ArrayLimit)
            for (var i = 0; i < BlockWords; i++) bits[i] = reader.UInt64();
        else
            for (var i = 0; i < count; i++) Set(reader.UInt16());
    }

    private void UnpackRuns(ref Reader reader)
    {
        for (int left = reader.UInt16(), next = 0; left > 0; left--)
        {
            var (first, more) = (reader.UInt16(), reader.UInt16());
            if (first < next || first + more >= BlockRows) throw new FormatException("its runs are out of order");
            for (int row = first; row <= first + more; row++) Set(row);
            next = first + more + 1;
        }
    }

    private void Set(int row) => bits[row / 64] |= 1UL << (row % 64);

    private ref struct Reader(ReadOnlySpan<byte> bytes)
    {
        private readonly ReadOnlySpan<byte> all = bytes;

        public int At { get; private set; }

        public ReadOnlySpan<byte> Take(int length)
        {
            if (length > all.Length - At) throw new FormatException("it is cut short");
            At += length;
            return all.Slice(At - length, length);
        }

        public ushort UInt16() => BinaryPrimitives.ReadUInt16LittleEndian(Take(sizeof(ushort)));

        public uint UInt32() => BinaryPrimitives.ReadUInt32LittleEndian(Take(sizeof(uint)));

        public ulong UInt64() => BinaryPrimitives.ReadUInt64LittleEndian(Take(sizeof(ulong)));
    }
}
