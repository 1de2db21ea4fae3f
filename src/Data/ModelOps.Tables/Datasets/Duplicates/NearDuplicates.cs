using System.Buffers.Binary;
using System.Runtime.InteropServices;

namespace ModelOps.Tables.Datasets.Duplicates;

/// <summary>A row and what is remembered of it to find others like it.</summary>
/// <param name="Id">First 16 bytes of its id.</param>
[StructLayout(LayoutKind.Auto)]
internal readonly record struct SignedRow(UInt128 Id, long Line, int Split);

/// <summary>A row that is much like an earlier one.</summary>
internal sealed record NearPair(SignedRow Earlier, SignedRow Later, double Similarity);

/// <param name="Nearest">For each row that has a near duplicate before it, the most similar one found; by row.</param>
/// <param name="AcrossSplits">The same among pairs whose rows are in different splits.</param>
internal sealed record NearDuplicatePairs(IReadOnlyList<NearPair> Nearest, IReadOnlyList<NearPair> AcrossSplits);

/// <summary>
/// Finds near duplicates by locality-sensitive hashing: rows whose signatures share a band are compared. Signatures lie in a temporary file, so
/// that memory is 12 bytes a row, and only while searching.
/// </summary>
internal sealed class NearDuplicates : IDisposable
{
    /// <summary>Estimated Jaccard similarity from which two rows are near duplicates.</summary>
    public const double Threshold = 0.8;

    private const int SignatureBytes = MinHash.Bands * sizeof(ulong);
    private const int RecordBytes = SignatureBytes + 16 + sizeof(long) + sizeof(int);
    private const int RecordsPerRead = 4096;

    private readonly FileStream file = new(
        Path.GetTempFileName(), FileMode.Create, FileAccess.ReadWrite, FileShare.None, bufferSize: 1 << 16, FileOptions.DeleteOnClose);

    private readonly byte[] record = new byte[RecordBytes];
    private int count;
    private (UInt128 Id, int Split)? moved;

    public void Add(SignedRow row, ReadOnlySpan<ulong> signature)
    {
        MemoryMarshal.AsBytes(signature).CopyTo(record);
        BinaryPrimitives.WriteUInt128LittleEndian(record.AsSpan(SignatureBytes), row.Id);
        BinaryPrimitives.WriteInt64LittleEndian(record.AsSpan(SignatureBytes + 16), row.Line);
        BinaryPrimitives.WriteInt32LittleEndian(record.AsSpan(SignatureBytes + 24), row.Split);
        file.Write(record);
        count++;
    }

    /// <summary>Ends adding.</summary>
    /// <param name="moved">A row that ended in another split than it was added with.</param>
    public NearDuplicatePairs Find((UInt128 Id, int Split)? moved, CancellationToken cancellationToken)
    {
        file.Flush();
        this.moved = moved;
        var (nearest, across) = (new Dictionary<int, NearPair>(), new Dictionary<int, NearPair>());
        var (keys, rows) = (new ulong[count], new int[count]);
        for (var band = 0; band < MinHash.Bands; band++)
        {
            cancellationToken.ThrowIfCancellationRequested();
            ReadBand(band, keys, rows);
            Array.Sort(keys, rows);
            for (var start = 0; start < count;)
            {
                var end = start + 1;
                while (end < count && keys[end] == keys[start]) end++;
                if (end - start > 1) Compare(rows.AsSpan(start, end - start), nearest, across);
                start = end;
            }
        }
        return new(ByRow(nearest), ByRow(across));
    }

    public void Dispose() => file.Dispose();

    private static IReadOnlyList<NearPair> ByRow(Dictionary<int, NearPair> pairs) => [.. pairs.OrderBy(pair => pair.Key).Select(pair => pair.Value)];

    /// <summary>Each row with the first of the bucket and with the one before it: all pairs would be quadratic where many rows are alike.</summary>
    private void Compare(Span<int> bucket, Dictionary<int, NearPair> nearest, Dictionary<int, NearPair> across)
    {
        bucket.Sort();
        for (var i = 1; i < bucket.Length; i++)
        {
            Compare(bucket[0], bucket[i], nearest, across);
            if (i > 1) Compare(bucket[i - 1], bucket[i], nearest, across);
        }
    }

    private void Compare(int earlier, int later, Dictionary<int, NearPair> nearest, Dictionary<int, NearPair> across)
    {
        Span<byte> one = stackalloc byte[RecordBytes];
        Span<byte> other = stackalloc byte[RecordBytes];
        RandomAccess.Read(file.SafeFileHandle, one, (long)earlier * RecordBytes);
        RandomAccess.Read(file.SafeFileHandle, other, (long)later * RecordBytes);
        var similarity = MinHash.Similarity(
            MemoryMarshal.Cast<byte, ulong>(one[..SignatureBytes]), MemoryMarshal.Cast<byte, ulong>(other[..SignatureBytes]));
        if (similarity < Threshold) return;
        var pair = new NearPair(RowOf(one), RowOf(other), similarity);
        Keep(nearest, later, pair);
        if (pair.Earlier.Split != pair.Later.Split) Keep(across, later, pair);
    }

    private static void Keep(Dictionary<int, NearPair> pairs, int later, NearPair pair)
    {
        if (!pairs.TryGetValue(later, out var known) || known.Similarity < pair.Similarity) pairs[later] = pair;
    }

    private SignedRow RowOf(ReadOnlySpan<byte> record)
    {
        var id = BinaryPrimitives.ReadUInt128LittleEndian(record[SignatureBytes..]);
        var split = moved is { } row && row.Id == id ? row.Split : BinaryPrimitives.ReadInt32LittleEndian(record[(SignatureBytes + 24)..]);
        return new(id, BinaryPrimitives.ReadInt64LittleEndian(record[(SignatureBytes + 16)..]), split);
    }

    private void ReadBand(int band, ulong[] keys, int[] rows)
    {
        var block = new byte[RecordBytes * RecordsPerRead];
        for (var row = 0; row < count;)
        {
            var read = RandomAccess.Read(file.SafeFileHandle, block, (long)row * RecordBytes);
            for (var at = 0; at + RecordBytes <= read; at += RecordBytes, row++)
            {
                keys[row] = BinaryPrimitives.ReadUInt64LittleEndian(block.AsSpan(at + (band * sizeof(ulong))));
                rows[row] = row;
            }
        }
    }
}
