using System.Buffers.Binary;
using System.Text;
using ModelOps.ModelFiles;
using ModelOps.ModelFiles.Safetensors;

namespace ModelOps.Services.Tests.Safetensors;

public sealed class SafetensorsTests : IDisposable
{
    private readonly TempFolder folder = new();

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public void Dispose() => folder.Dispose();

    [Fact]
    public void Write_RandomTensors_ReadBackEqual()
    {
        var random = new Random(17);
        for (var round = 0; round < 50; round++)
        {
            var tensors = Enumerable.Range(0, random.Next(0, 12)).Select(i => RandomTensor(random, $"tensor.{i}.ñ\"")).ToArray();
            var metadata = new Dictionary<string, string> { ["format"] = "pt", ["note"] = $"round {round}" };
            SafetensorsWriter.Write(
                folder["a.safetensors"],
                tensors.Select(tensor => TensorSource.FromBytes(tensor.Name, tensor.Dtype, tensor.Shape, tensor.Bytes)),
                metadata,
                Cancellation);

            using var file = SafetensorsFile.Open(folder["a.safetensors"]);
            Assert.Equal(metadata, file.Metadata);
            Assert.Equal(tensors.Select(tensor => tensor.Name).Order(), file.Tensors.Keys.Order());
            foreach (var expected in tensors)
            {
                var info = file[expected.Name];
                var bytes = new byte[info.Length];
                file.Read(expected.Name, bytes);
                Assert.Equal(expected.Dtype, info.Dtype);
                Assert.Equal(expected.Shape, info.Shape);
                Assert.Equal(expected.Bytes, bytes);
                Assert.Equal(0, info.Offset % info.Dtype.Size());
            }
        }
    }

    [Fact]
    public void Write_HeaderAndOrder_AreAsHuggingFaceWritesThem()
    {
        SafetensorsWriter.Write(folder["a.safetensors"],
        [
            TensorSource.FromBytes("z", Dtype.F32, [1], new byte[4]),
            TensorSource.FromBytes("b", Dtype.U8, [3], new byte[3]),
            TensorSource.FromBytes("a", Dtype.F32, [], new byte[4]),
        ], cancellationToken: Cancellation);

        var bytes = File.ReadAllBytes(folder["a.safetensors"]);
        var length = (int)BinaryPrimitives.ReadUInt64LittleEndian(bytes);
        Assert.Equal(0, length % 8);
        Assert.Equal(
            """{"a":{"dtype":"F32","shape":[],"data_offsets":[0,4]},"z":{"dtype":"F32","shape":[1],"data_offsets":[4,8]},"b":{"dtype":"U8","shape":[3],"data_offsets":[8,11]}}""",
            Encoding.UTF8.GetString(bytes, 8, length).TrimEnd(' '));
    }

    [Fact]
    public void ReadFloats_NarrowTypes_WidenAsDefined()
    {
        float[] values = [0, -0f, 1, -1.5f, 65504, 1e-7f, float.PositiveInfinity, float.NaN, 1.00390625f, 3.0e38f];
        SafetensorsWriter.Write(folder["a.safetensors"],
        [
            TensorSource.FromFloats("f16", [10], values, Dtype.F16),
            TensorSource.FromFloats("bf16", [10], values, Dtype.BF16),
            TensorSource.FromFloats("f32", [10], values),
        ], cancellationToken: Cancellation);

        using var file = SafetensorsFile.Open(folder["a.safetensors"]);
        Assert.Equal(values, file.ReadFloats("f32"));
        Assert.Equal(values.Select(value => (float)(Half)value), file.ReadFloats("f16"));

        // 1 + 2^-8 lies between two bfloat16 numbers and goes to the even one.
        float[] rounded = [0, -0f, 1, -1.5f, 65536, 1.0011717677116394e-7f, float.PositiveInfinity, float.NaN, 1, 3.00405527e38f];
        Assert.Equal(rounded, file.ReadFloats("bf16"));
    }

    [Fact]
    public void ReadFloats_Part_IsThatPartOfTheWhole()
    {
        var values = Enumerable.Range(0, 700_000).Select(i => (float)i).ToArray(); // more than one chunk
        SafetensorsWriter.Write(
            folder["a.safetensors"], [TensorSource.FromFloats("t", [700_000], values)], cancellationToken: Cancellation);
        using var file = SafetensorsFile.Open(folder["a.safetensors"]);
        var part = new float[500_001];
        file.ReadFloats("t", 123_456, part);
        Assert.Equal(values[123_456..623_457], part);
        Assert.Equal(values, file.ReadFloats("t"));
        Assert.Throws<ArgumentOutOfRangeException>(() => file.ReadFloats("t", 200_000, part));
    }

    [Fact]
    public void ReadFloats_IntegerTensor_NamesFileTensorAndType()
    {
        SafetensorsWriter.Write(
            folder["a.safetensors"], [TensorSource.FromBytes("ids", Dtype.I64, [1], new byte[8])], cancellationToken: Cancellation);
        using var file = SafetensorsFile.Open(folder["a.safetensors"]);
        var error = Assert.Throws<InvalidModelFileException>(() => file.ReadFloats("ids"));
        Assert.Equal($"{file.Path}: tensor \"ids\" is I64; only F32, F16 and BF16 can be read as floats", error.Message);
    }

    [Fact]
    public void Write_SourceWithWrongLength_LeavesTheOldFileAlone()
    {
        SafetensorsWriter.Write(
            folder["a.safetensors"], [TensorSource.FromFloats("t", [1], new float[] { 5 })], cancellationToken: Cancellation);
        Assert.Throws<InvalidOperationException>(() =>
            SafetensorsWriter.Write(
                folder["a.safetensors"], [TensorSource.FromBytes("t", Dtype.F32, [2], new byte[4])], cancellationToken: Cancellation));
        using var file = SafetensorsFile.Open(folder["a.safetensors"]);
        Assert.Equal([5f], file.ReadFloats("t"));
        Assert.Single(Directory.GetFiles(folder.Path));
    }

    [Theory]
    [InlineData("""{"t":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}""", "F32 [2] does not take the 4 bytes")]
    [InlineData("""{"t":{"dtype":"F33","shape":[1],"data_offsets":[0,4]}}""", "dtype F33 is not one of")]
    [InlineData("""{"t":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}""", "\"shape\" must be a list of non-negative integers")]
    [InlineData("""{"t":{"dtype":"F32","shape":[4294967296,4294967296,4294967296],"data_offsets":[0,4]}}""", "does not take the 4 bytes")]
    [InlineData("""{"t":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}}""", "begin <= end")]
    [InlineData("""{"t":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}""", "ends at byte 8 of the data, which has 4 bytes")]
    [InlineData("""{"t":{"dtype":"U8","shape":[3],"data_offsets":[0,3]}}""", "1 bytes at the end belong to no tensor")]
    [InlineData("""{"t":{"dtype":"U8","shape":[3],"data_offsets":[1,4]}}""", "1 bytes before tensor \"t\" belong to no tensor")]
    [InlineData("""{"t":{"dtype":"U8","shape":[3],"data_offsets":[0,3]},"u":{"dtype":"U8","shape":[2],"data_offsets":[2,4]}}""", "tensor \"u\" overlaps tensor \"t\"")]
    [InlineData("""{"t":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"t":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}""", "not valid JSON")]
    [InlineData("""{"__metadata__":{"a":1},"t":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}""", "__metadata__: \"a\" must be a string")]
    [InlineData("""{"\ud800":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}""", "not valid")]
    [InlineData("[]", "a JSON object is expected")]
    public void Open_BadHeader_SaysWhatIsWrong(string header, string expected)
    {
        File.WriteAllBytes(folder["a.safetensors"], WithHeader(header, dataLength: 4));
        var error = Assert.Throws<InvalidModelFileException>(() => SafetensorsFile.Open(folder["a.safetensors"]));
        Assert.StartsWith(folder["a.safetensors"], error.Message, StringComparison.Ordinal);
        Assert.Contains(expected, error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(ulong.MaxValue)]
    [InlineData(long.MaxValue)]
    [InlineData(100_000_001UL)]
    [InlineData(1_000UL)]
    public void Open_HostileHeaderLength_IsRefused(ulong length)
    {
        var bytes = WithHeader("{}", 0);
        BinaryPrimitives.WriteUInt64LittleEndian(bytes, length);
        File.WriteAllBytes(folder["a.safetensors"], bytes);
        var error = Assert.Throws<InvalidModelFileException>(() => SafetensorsFile.Open(folder["a.safetensors"]));
        Assert.Contains("header of", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Open_MutatedFile_IsRefusedOrReadable()
    {
        var random = new Random(23);
        var valid = WithHeader(
            """{"__metadata__":{"format":"pt"},"a.weight":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},"b":{"dtype":"BF16","shape":[4],"data_offsets":[24,32]},"c":{"dtype":"U8","shape":[],"data_offsets":[32,33]}}""", 33);
        var (refused, opened) = (0, 0);
        for (var round = 0; round < 3_000; round++)
        {
            File.WriteAllBytes(folder["a.safetensors"], Mutations.Apply(random, valid));
            try
            {
                using var file = SafetensorsFile.Open(folder["a.safetensors"]);
                foreach (var tensor in file.Tensors.Values)
                {
                    Assert.InRange(tensor.Offset + tensor.Length, 8, new FileInfo(file.Path).Length);
                    file.Read(tensor.Name, new byte[tensor.Length]);
                }

                opened++;
            }
            catch (InvalidModelFileException)
            {
                refused++;
            }
        }

        Assert.InRange(refused, 1_000, 3_000);
        Assert.InRange(opened, 100, 3_000); // names, metadata and data bytes may change
    }

    private static byte[] WithHeader(string header, int dataLength)
    {
        var utf8 = Encoding.UTF8.GetBytes(header);
        var bytes = new byte[8 + utf8.Length + dataLength];
        BinaryPrimitives.WriteUInt64LittleEndian(bytes, (ulong)utf8.Length);
        utf8.CopyTo(bytes, 8);
        return bytes;
    }

    private static (string Name, Dtype Dtype, long[] Shape, byte[] Bytes) RandomTensor(Random random, string name)
    {
        var dtype = random.GetItems(Enum.GetValues<Dtype>(), 1)[0];
        var shape = Enumerable.Range(0, random.Next(0, 4)).Select(_ => (long)random.Next(0, 6)).ToArray();
        var bytes = new byte[shape.Aggregate((long)dtype.Size(), (product, dimension) => product * dimension)];
        random.NextBytes(bytes);
        return (name, dtype, shape, bytes);
    }
}
