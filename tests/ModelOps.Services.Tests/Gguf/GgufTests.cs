using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text;
using ModelOps.ModelFiles;
using ModelOps.ModelFiles.Gguf;

namespace ModelOps.Services.Tests.Gguf;

public sealed class GgufTests : IDisposable
{
    private readonly TempFolder folder = new();

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public void Dispose() => folder.Dispose();

    [Fact]
    public void Write_RandomFiles_ReadBackEqual()
    {
        var random = new Random(31);
        for (var round = 0; round < 50; round++)
        {
            var metadata = Enumerable.Range(0, random.Next(0, 20)).ToDictionary(i => $"key.{i}.ñ", _ => RandomValue(random));
            if (round % 3 == 0) metadata["general.alignment"] = 1u << random.Next(0, 8);
            var tensors = Enumerable.Range(0, random.Next(0, 8)).Select(i => RandomTensor(random, $"tensor.{i}")).ToArray();
            GgufWriter.Write(folder["a.gguf"], metadata, [.. tensors.Select(tensor => tensor.Source)], Cancellation);

            using var file = GgufFile.Open(folder["a.gguf"]);
            Assert.Equal(metadata.Keys, file.Metadata.Keys);
            foreach (var (key, value) in metadata)
            {
                Assert.Equal(value.GetType(), file.Metadata[key].GetType());
                Assert.Equal(value, file.Metadata[key]);
            }

            Assert.Equal(tensors.Length, file.Tensors.Count);
            foreach (var (source, bytes) in tensors)
            {
                var info = file.Tensors[source.Name];
                var read = new byte[info.Length];
                file.Read(source.Name, read);
                Assert.Equal(source.Type, info.Type);
                Assert.Equal(source.Dimensions, info.Dimensions);
                Assert.Equal(bytes, read);
                Assert.Equal(0, info.Offset % (metadata.GetValueOrDefault("general.alignment") as uint? ?? 32));
            }
        }
    }

    [Fact]
    public void Write_SmallFile_HasTheDocumentedBytes()
    {
        GgufWriter.Write(folder["a.gguf"], [new("k", (ushort)7), new("a", new[] { "x" })],
            [new("t", GgmlType.I8, [2], stream => stream.Write([1, 2]))], Cancellation);

        byte[] expected =
        [
            .. "GGUF"u8, 3, 0, 0, 0, .. U64(1), .. U64(2),
            .. U64(1), .. "k"u8, 2, 0, 0, 0, 7, 0,
            .. U64(1), .. "a"u8, 9, 0, 0, 0, 8, 0, 0, 0, .. U64(1), .. U64(1), .. "x"u8,
            .. U64(1), .. "t"u8, 1, 0, 0, 0, .. U64(2), 24, 0, 0, 0, .. U64(0),
        ];
        var padded = new byte[(expected.Length + 31) / 32 * 32];
        expected.CopyTo(padded, 0);
        Assert.Equal([.. padded, 1, 2, .. new byte[30]], File.ReadAllBytes(folder["a.gguf"]));
    }

    [Fact]
    public void BlockSizes_EveryType_AreThoseOfTheNativeLibrary()
    {
        var library = NativeLibrary.Load(Path.Combine(AppContext.BaseDirectory, "native", "llama", "libggml-base.so"));
        var blockSize = Marshal.GetDelegateForFunctionPointer<BlockSize>(NativeLibrary.GetExport(library, "ggml_blck_size"));
        var typeSize = Marshal.GetDelegateForFunctionPointer<TypeSize>(NativeLibrary.GetExport(library, "ggml_type_size"));
        foreach (var type in Enum.GetValues<GgmlType>())
        {
            Assert.True(type.IsKnown(), $"{type} has no block size");
            Assert.Equal((type, blockSize((int)type), typeSize((int)type)), (type, type.BlockElements(), (nuint)type.BlockBytes()));
        }
    }

    [Fact]
    public void BitsPerWeight_MixedTypes_IsTheMeanOverWeights()
    {
        GgufWriter.Write(folder["a.gguf"], [],
        [
            new("a", GgmlType.Q8_0, [64, 3], stream => stream.Write(new byte[6 * 34])),
            new("b", GgmlType.F32, [64], stream => stream.Write(new byte[256])),
        ], Cancellation);
        using var file = GgufFile.Open(folder["a.gguf"]);
        Assert.Equal(((192 * 8.5) + (64 * 32)) / 256, file.BitsPerWeight, 12);
        Assert.Equal(192, file.Tensors["a"].ElementCount);
    }

    [Fact]
    public void Get_MissingOrOtherType_SaysSo()
    {
        GgufWriter.Write(folder["a.gguf"], [new("n", 5u)], [], Cancellation);
        using var file = GgufFile.Open(folder["a.gguf"]);
        Assert.Equal(5u, file.Get<uint>("n"));
        Assert.Equal(
            $"{file.Path}: metadata \"n\" is UInt32, String is expected",
            Assert.Throws<InvalidModelFileException>(() => file.Get<string>("n")).Message);
        Assert.Equal(
            $"{file.Path}: metadata \"m\" is missing", Assert.Throws<InvalidModelFileException>(() => file.Get<string>("m")).Message);
    }

    public static TheoryData<string, byte[]> BadFiles { get; } = new()
    {
        { "truncated", [] },
        { "not a GGUF file", [.. "GGML"u8, .. new byte[28]] },
        { "version 1 is not supported", [.. "GGUF"u8, 1, 0, 0, 0, .. U64(0), .. U64(0)] },
        { "big-endian", [.. "GGUF"u8, 0, 0, 0, 3, .. U64(0), .. U64(0)] },
        { "18446744073709551615 tensors cannot stand", [.. "GGUF"u8, 3, 0, 0, 0, .. U64(ulong.MaxValue), .. U64(0)] },
        { "4611686018427387904 metadata entries cannot stand", [.. "GGUF"u8, 3, 0, 0, 0, .. U64(0), .. U64(1UL << 62)] },
        { "bytes of text cannot stand", Entries(1, [.. U64(1UL << 40), .. new byte[20]]) },
        { "array elements cannot stand", Entries(1, [.. U64(1), .. "k"u8, 9, 0, 0, 0, 4, 0, 0, 0, .. U64(1UL << 61)]) },
        { "array of arrays", Entries(1, [.. U64(1), .. "k"u8, 9, 0, 0, 0, 9, 0, 0, 0, .. U64(1)]) },
        { "unknown type 13", Entries(1, [.. U64(1), .. "k"u8, 13, 0, 0, 0, 0, 0, 0, 0]) },
        { "occurs twice", Entries(2, [.. U64(1), .. "k"u8, 7, 0, 0, 0, 1, .. U64(1), .. "k"u8, 7, 0, 0, 0, 1]) },
        { "not UTF-8", Entries(1, [.. U64(1), 0xFF, 7, 0, 0, 0, 1]) },
        { "power of two, found UInt32 3", Entries(1, [.. U64(17), .. "general.alignment"u8, 4, 0, 0, 0, 3, 0, 0, 0]) },
        { "has 5 dimensions", Tensors(1, [.. U64(1), .. "t"u8, 5, 0, 0, 0, .. new byte[60]]) },
        { "has the unknown type 4", Tensors(1, Tensor("t", 4, 32, 0)) },
        { "rows must be multiples of 32", Tensors(1, Tensor("t", 8, 33, 0)) },
        { "has the dimension 18446744073709551615", Tensors(1, Tensor("t", 0, ulong.MaxValue, 0)) },
        { "is longer than the file", Tensors(1, Tensor("t", 0, 1UL << 40, 0)) },
        { "32 is expected", Tensors(2, [.. Tensor("t", 0, 4, 0), .. Tensor("u", 0, 4, 16)]) },
        { "truncated: tensor \"t\" ends", Tensors(1, Tensor("t", 0, 4, 0)) },
        { "\"t\" occurs twice", Tensors(2, [.. Tensor("t", 0, 4, 0), .. Tensor("t", 0, 4, 32)]) },
    };

    [Theory]
    [MemberData(nameof(BadFiles), DisableDiscoveryEnumeration = true)]
    public void Open_BadFile_SaysWhatIsWrong(string expected, byte[] bytes)
    {
        File.WriteAllBytes(folder["a.gguf"], bytes);
        var error = Assert.Throws<InvalidModelFileException>(() => GgufFile.Open(folder["a.gguf"]));
        Assert.StartsWith(folder["a.gguf"], error.Message, StringComparison.Ordinal);
        Assert.Contains(expected, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Open_MutatedFile_IsRefusedOrReadable()
    {
        GgufWriter.Write(folder["valid.gguf"],
            [
                new("general.architecture", "llama"), new("n", 5u), new("general.alignment", 16u), new("a", new[] { 1, 2, 3 }),
                new("s", new[] { "x", "yz" }), new("f", 1.5),
            ],
            [
                new("token_embd.weight", GgmlType.F32, [4, 2], stream => stream.Write(new byte[32])),
                new("output.weight", GgmlType.Q8_0, [32], stream => stream.Write(new byte[34])),
            ], Cancellation);
        var valid = File.ReadAllBytes(folder["valid.gguf"]);
        var random = new Random(41);
        var (refused, opened) = (0, 0);
        for (var round = 0; round < 3_000; round++)
        {
            File.WriteAllBytes(folder["a.gguf"], Mutations.Apply(random, valid));
            try
            {
                using var file = GgufFile.Open(folder["a.gguf"]);
                foreach (var tensor in file.Tensors.Values) file.Read(tensor.Name, new byte[tensor.Length]);
                opened++;
            }
            catch (InvalidModelFileException)
            {
                refused++;
            }
        }

        Assert.InRange(refused, 1_000, 3_000);
        Assert.InRange(opened, 100, 3_000); // values and data bytes may change
    }

    [Fact]
    public void Write_WhatGgufCannotHold_IsRefusedBeforeWriting()
    {
        AssertRefused<ArgumentException>("no type for Char", [new("k", 'c')]);
        AssertRefused<ArgumentException>(
            "longer than 63 bytes", [], new GgufTensorSource(new string('t', 64), GgmlType.F32, [1], _ => { }));
        AssertRefused<ArgumentException>("cannot be Q4_K [128]", [], new GgufTensorSource("t", GgmlType.Q4_K, [128], _ => { }));
        AssertRefused<InvalidOperationException>(
            "takes 4 bytes; its source wrote 0", [], new GgufTensorSource("t", GgmlType.F32, [1], _ => { }));
        Assert.Empty(Directory.GetFiles(folder.Path));
    }

    private void AssertRefused<T>(string expected, KeyValuePair<string, object>[] metadata, params GgufTensorSource[] tensors)
        where T : Exception
    {
        var error = Assert.Throws<T>(() => GgufWriter.Write(folder["a.gguf"], metadata, tensors, Cancellation));
        Assert.Contains(expected, error.Message, StringComparison.Ordinal);
    }

    private static byte[] U64(ulong value)
    {
        var bytes = new byte[8];
        BinaryPrimitives.WriteUInt64LittleEndian(bytes, value);
        return bytes;
    }

    private static byte[] Entries(ulong count, byte[] entries) =>
        [.. "GGUF"u8, 3, 0, 0, 0, .. U64(0), .. U64(count), .. entries, .. new byte[16]];

    private static byte[] Tensors(ulong count, byte[] tensors) => [.. "GGUF"u8, 3, 0, 0, 0, .. U64(count), .. U64(0), .. tensors];

    private static byte[] Tensor(string name, byte type, ulong dimension, ulong offset) =>
        [.. U64((ulong)name.Length), .. Encoding.UTF8.GetBytes(name), 1, 0, 0, 0, .. U64(dimension), type, 0, 0, 0, .. U64(offset)];

    private static object RandomValue(Random random)
    {
        var number = random.NextInt64();
        int[] few = [.. Enumerable.Range(0, random.Next(0, 5)).Select(_ => random.Next())];
        object[] values =
        [
            (byte)number, (sbyte)number, (ushort)number, (short)number, (uint)number, (int)number, (ulong)number, number, (float)number,
            random.NextDouble(),
            number % 2 == 0, "größe 模型", Array.ConvertAll(few, n => (byte)n), Array.ConvertAll(few, n => (sbyte)n),
            Array.ConvertAll(few, n => (ushort)n),
            Array.ConvertAll(few, n => (short)n), Array.ConvertAll(few, n => (uint)n), few, Array.ConvertAll(few, n => (ulong)n),
            Array.ConvertAll(few, n => (long)n),
            Array.ConvertAll(few, n => (float)n), Array.ConvertAll(few, n => (double)n), Array.ConvertAll(few, n => n % 2 == 0),
            Array.ConvertAll(few, n => $"{n}"),
        ];
        return values[random.Next(values.Length)];
    }

    private static (GgufTensorSource Source, byte[] Bytes) RandomTensor(Random random, string name)
    {
        var type = random.GetItems(Enum.GetValues<GgmlType>(), 1)[0];
        var outer = Enumerable.Range(0, random.Next(0, 3)).Select(_ => (long)random.Next(1, 4));
        long[] dimensions = [type.BlockElements() * random.Next(0, 3), .. outer];
        var elements = dimensions.Aggregate(1L, (product, dimension) => product * dimension);
        var bytes = new byte[elements / type.BlockElements() * type.BlockBytes()];
        random.NextBytes(bytes);
        return (new GgufTensorSource(name, type, dimensions, stream => stream.Write(bytes)), bytes);
    }

    [UnmanagedFunctionPointer(CallingConvention.Cdecl)]
    private delegate long BlockSize(int type);

    [UnmanagedFunctionPointer(CallingConvention.Cdecl)]
    private delegate nuint TypeSize(int type);
}
