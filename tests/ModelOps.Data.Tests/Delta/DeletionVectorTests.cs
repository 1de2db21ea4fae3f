using System.Buffers.Binary;
using System.Text;
using ModelOps.Tables.Delta;

namespace ModelOps.Data.Tests.Delta;

public sealed class DeletionVectorTests : IDisposable
{
    // The rows of PROTOCOL.md, "JSON Example 3 — Inline" (3, 4, 7, 11, 18, 29) as writers encode them; the example's own text has another magic number.
    private const string Inline = "^Bg9^0rr910000000000iXQKl0rr91000f55c8Xg0@@D72lkbi5=-{L";

    private readonly TestTables tables = new();

    private static CancellationToken Cancel => TestTables.Cancel;

    public void Dispose() => tables.Dispose();

    [Fact]
    public async Task Read_InlineExampleOfTheProtocol_LeavesOutItsRows()
    {
        var table = await TableAsync($$"""{"storageType":"i","pathOrInlineDv":"{{Inline}}","sizeInBytes":44,"cardinality":6}""");
        Assert.Equal(Enumerable.Range(0, 40).Select(i => (long)i).Except([3, 4, 7, 11, 18, 29]), (await TestTables.RowsAsync(table)).Select(row => row.Id));
    }

    [Theory]
    [InlineData("", "")]
    [InlineData("ab", "ab/")]
    public async Task Read_StoredByUuid_LeavesOutItsRows(string prefix, string folder)
    {
        await tables.PutAsync($"t/{folder}deletion_vector_d2c639aa-8816-431a-aaf6-d3fe2512ff61.bin", Stored(Bitmap([0, 1, 39])));
        var table = await TableAsync($$"""{"storageType":"u","pathOrInlineDv":"{{prefix}}^-aqEH.-t@S}K{vb[*k^","offset":1,"sizeInBytes":{{Bitmap([0, 1, 39]).Length}},"cardinality":3}""");
        Assert.Equal(Enumerable.Range(2, 37).Select(i => (long)i), (await TestTables.RowsAsync(table)).Select(row => row.Id));
    }

    [Fact]
    public async Task Read_StoredByAbsolutePathInTheTable_LeavesOutItsRows()
    {
        await tables.PutAsync("t/dv.bin", Stored(Bitmap([5])));
        var path = new Uri(tables.Store.LocalPath("t/dv.bin")!).ToString();
        var table = await TableAsync($$"""{"storageType":"p","pathOrInlineDv":"{{path}}","offset":1,"sizeInBytes":{{Bitmap([5]).Length}},"cardinality":1}""");
        Assert.DoesNotContain((await TestTables.RowsAsync(table)), row => row.Id == 5);
    }

    [Theory]
    [InlineData("""{"storageType":"i","pathOrInlineDv":"wi5b=","sizeInBytes":40,"cardinality":6}""", "it has 4 bytes where the log says 40")]
    [InlineData("""{"storageType":"i","pathOrInlineDv":"^Bg9^0rr910000000000iXQKl0rr91000f55c8Xg0@@D72lkbi5=-{L","sizeInBytes":44,"cardinality":7}""", "6 rows where the log says 7")]
    [InlineData("""{"storageType":"i","pathOrInlineDv":"\u0001","sizeInBytes":1,"cardinality":1}""", "no Z85")]
    [InlineData("""{"storageType":"x","pathOrInlineDv":"","sizeInBytes":1,"cardinality":1}""", "the storage type x of a deletion vector is not known")]
    [InlineData("""{"storageType":"u","pathOrInlineDv":"short","sizeInBytes":1,"cardinality":1}""", "has no UUID")]
    [InlineData("""{"storageType":"u","pathOrInlineDv":"..^-aqEH.-t@S}K{vb[*k^","sizeInBytes":1,"cardinality":1}""", "leads out of the table's folder")]
    [InlineData("""{"storageType":"u","pathOrInlineDv":"^-aqEH.-t@S}K{vb[*k^","sizeInBytes":1,"cardinality":1}""", "deletion_vector_d2c639aa-8816-431a-aaf6-d3fe2512ff61.bin is not there")]
    [InlineData("""{"storageType":"p","pathOrInlineDv":"s3://other/dv.bin","sizeInBytes":1,"cardinality":1}""", "leads out of the table's folder")]
    public async Task Read_DescriptorThatDoesNotHold_IsNamed(string vector, string reason)
    {
        var table = await TableAsync(vector);
        var error = await Assert.ThrowsAsync<DeltaException>(() => TestTables.RowsAsync(table));
        Assert.Contains(reason, error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(20, "the checksum differs")]
    [InlineData(3, "bytes at 1 where the log says")]
    public async Task Read_DamagedFile_IsNamed(int damagedByte, string reason)
    {
        var bytes = Stored(Bitmap([0, 1, 39]));
        bytes[damagedByte] ^= 1;
        await tables.PutAsync("t/deletion_vector_d2c639aa-8816-431a-aaf6-d3fe2512ff61.bin", bytes);
        var table = await TableAsync($$"""{"storageType":"u","pathOrInlineDv":"^-aqEH.-t@S}K{vb[*k^","offset":1,"sizeInBytes":{{Bitmap([0, 1, 39]).Length}},"cardinality":3}""");
        var error = await Assert.ThrowsAsync<DeltaException>(() => TestTables.RowsAsync(table));
        Assert.Contains(reason, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Parse_EveryKindOfContainer_HasItsRows()
    {
        var random = new Random(3);
        HashSet<long> rows = [0, 65_535, 65_536, (1L << 32) + 7, .. Enumerable.Range(200_000, 60_000).Select(row => (long)row)];
        while (rows.Count < 70_000) rows.Add(random.Next(1 << 20));
        foreach (var runs in (bool[])[false, true])
        {
            var set = RowSet.Parse(Bitmap(rows, runs));
            Assert.Equal(rows.Count, set.Count);
            for (var row = 0; row < 1 << 20; row += 13) Assert.Equal(rows.Contains(row), set.Contains(row));
            Assert.True(set.Contains((1L << 32) + 7) && set.Contains(65_535) && !set.Contains((1L << 32) + 8) && !set.Contains(long.MaxValue));
        }
    }

    [Fact]
    public void Parse_AnyBytes_IsARowSetOrAFormatException()
    {
        var random = new Random(4);
        byte[][] originals = [Bitmap([1, 2, 3, 70_000]), Bitmap([.. Enumerable.Range(0, 9_000).Select(row => (long)row)]), Bitmap([.. Enumerable.Range(0, 9_000).Select(row => (long)row)], withRuns: true)];
        var refused = 0;
        for (var round = 0; round < 3_000; round++)
        {
            var bytes = Mutation.Of(originals[round % 3], random);
            try
            {
                var set = RowSet.Parse(bytes);
                Assert.InRange(Enumerable.Range(0, 1 << 17).Count(row => set.Contains(row)), 0, set.Count);
            }
            catch (FormatException)
            {
                refused++;
            }
        }
        Assert.InRange(refused, 1_000, 2_999);
    }

    private async Task<DeltaTable> TableAsync(string vector)
    {
        var table = await tables.CreateAsync();
        await TestTables.AppendAsync(table, [.. Enumerable.Range(0, 40).Select(i => ((long)i, (string?)$"{i}"))]);
        var commit = await tables.TextAsync(TestTables.LogKey(1));
        await tables.PutAsync(TestTables.LogKey(1), commit.Replace("\"dataChange\":true", $"\"dataChange\":true,\"deletionVector\":{vector}", StringComparison.Ordinal));
        return table;
    }

    /// <summary>Version, length, bitmap, CRC-32, as a file has it.</summary>
    private static byte[] Stored(byte[] bitmap)
    {
        var bytes = new byte[1 + 4 + bitmap.Length + 4];
        bytes[0] = 1;
        BinaryPrimitives.WriteInt32BigEndian(bytes.AsSpan(1), bitmap.Length);
        bitmap.CopyTo(bytes, 5);
        BinaryPrimitives.WriteUInt32BigEndian(bytes.AsSpan(5 + bitmap.Length), Crc(bitmap));
        return bytes;
    }

    /// <summary>As zlib computes it: the last eight bytes of a gzip member begin with it.</summary>
    private static uint Crc(byte[] bytes)
    {
        using var packed = new MemoryStream();
        using (var gzip = new System.IO.Compression.GZipStream(packed, System.IO.Compression.CompressionLevel.Fastest, leaveOpen: true)) gzip.Write(bytes);
        return BinaryPrimitives.ReadUInt32LittleEndian(packed.ToArray().AsSpan()[^8..]);
    }

    /// <summary>The format as its specification has it, written once more.</summary>
    private static byte[] Bitmap(IEnumerable<long> rows, bool withRuns = false)
    {
        using var stream = new MemoryStream();
        using var writer = new BinaryWriter(stream, Encoding.UTF8);
        var buckets = rows.Order().GroupBy(row => row >> 32).ToList();
        writer.Write(1681511377);
        writer.Write((long)buckets.Count);
        foreach (var bucket in buckets)
        {
            writer.Write((uint)bucket.Key);
            var containers = bucket.GroupBy(row => (ushort)(row >> 16)).Select(container => (container.Key, Rows: container.Select(row => (ushort)row).ToList())).ToList();
            if (withRuns)
            {
                writer.Write(12347 | ((containers.Count - 1) << 16));
                writer.Write(Enumerable.Repeat(byte.MaxValue, (containers.Count + 7) / 8).ToArray());
            }
            else
            {
                writer.Write(12346);
                writer.Write(containers.Count);
            }
            foreach (var (key, values) in containers)
            {
                writer.Write(key);
                writer.Write((ushort)(values.Count - 1));
            }
            if (!withRuns || containers.Count >= 4) writer.Write(new byte[containers.Count * 4]);
            foreach (var (_, values) in containers) Write(writer, values, withRuns);
        }
        return stream.ToArray();
    }

    private static void Write(BinaryWriter writer, List<ushort> values, bool asRuns)
    {
        if (asRuns)
        {
            var runs = values.Select((value, i) => (Value: value, Group: value - i)).GroupBy(pair => pair.Group).ToList();
            writer.Write((ushort)runs.Count);
            foreach (var run in runs)
            {
                writer.Write(run.First().Value);
                writer.Write((ushort)(run.Count() - 1));
            }
        }
        else if (values.Count > 4096)
        {
            var bits = new byte[8192];
            foreach (var value in values) bits[value / 8] |= (byte)(1 << (value % 8));
            writer.Write(bits);
        }
        else
            foreach (var value in values) writer.Write(value);
    }
}
