using Microsoft.Win32.SafeHandles;

namespace ModelOps.ModelFiles.Gguf;

/// <summary>What stands before the tensor data, checked as ggml checks it: tensors lie one after another, each aligned.</summary>
internal sealed record GgufHeader(IReadOnlyDictionary<string, object> Metadata, IReadOnlyList<GgufTensorInfo> Tensors)
{
    /// <summary>Shortest encoding of an entry in bytes; bounds hostile counts by the file's length.</summary>
    private const int MinEntryBytes = 13;
    private const int MinTensorBytes = 24;

    public static GgufHeader Read(string path, SafeFileHandle handle)
    {
        var cursor = new GgufCursor(path, handle);
        ReadMagicAndVersion(cursor);
        var tensorCount = cursor.ReadCount("tensors", MinTensorBytes);
        var entryCount = cursor.ReadCount("metadata entries", MinEntryBytes);
        var metadata = new Dictionary<string, object>();
        for (var i = 0; i < entryCount; i++) ReadEntry(cursor, metadata);
        var alignment = AlignmentOf(cursor, metadata);
        return new GgufHeader(metadata, ReadTensors(cursor, tensorCount, alignment));
    }

    private static void ReadMagicAndVersion(GgufCursor cursor)
    {
        if (cursor.Read<uint>() != GgufFormat.Magic) throw cursor.Error("not a GGUF file: it does not begin with \"GGUF\"");
        var version = cursor.Read<uint>();
        if (version is >= GgufFormat.OldestReadVersion and <= GgufFormat.Version) return;
        throw cursor.Error((version & 0xFFFF) == 0
            ? "a big-endian GGUF file is not supported"
            : $"GGUF version {version} is not supported; {GgufFormat.OldestReadVersion} and {GgufFormat.Version} are");
    }

    private static void ReadEntry(GgufCursor cursor, Dictionary<string, object> metadata)
    {
        var key = cursor.ReadName("metadata key", GgufFormat.MaxKeyBytes);
        var type = (GgufValueType)cursor.Read<uint>();
        var value = type == GgufValueType.Array ? cursor.ReadArray(key) : cursor.ReadScalar(key, type);
        if (!metadata.TryAdd(key, value)) throw cursor.Error($"metadata \"{key}\" occurs twice");
    }

    private static uint AlignmentOf(GgufCursor cursor, Dictionary<string, object> metadata)
    {
        if (!metadata.TryGetValue(GgufFormat.AlignmentKey, out var value)) return GgufFormat.DefaultAlignment;
        if (value is uint alignment && uint.IsPow2(alignment)) return alignment;
        throw cursor.Error($"metadata \"{GgufFormat.AlignmentKey}\" must be a uint32 power of two, found {value.GetType().Name} {value}");
    }

    private static GgufTensorInfo[] ReadTensors(GgufCursor cursor, int count, uint alignment)
    {
        // Offsets count from the start of the data, which is known only after the last tensor's entry.
        var relative = new List<GgufTensorInfo>(count);
        var names = new HashSet<string>();
        var next = 0L;
        for (var i = 0; i < count; i++)
        {
            var tensor = ReadTensor(cursor);
            if (!names.Add(tensor.Name)) throw cursor.Error($"tensor \"{tensor.Name}\" occurs twice");
            if (tensor.Offset != next)
                throw cursor.Error($"tensor \"{tensor.Name}\" stands at byte {tensor.Offset} of the data, {next} is expected");
            relative.Add(tensor);
            if (tensor.Length > cursor.Length)
                throw cursor.Error($"tensor \"{tensor.Name}\" of {tensor.Length} bytes is longer than the file of {cursor.Length}");
            next = GgufFormat.Align(next + tensor.Length, alignment);
        }

        var dataStart = GgufFormat.Align(cursor.Position, alignment);
        if (relative is [.., var last] && dataStart + last.Offset + last.Length > cursor.Length)
            throw cursor.Error(
                $"truncated: tensor \"{last.Name}\" ends at byte {dataStart + last.Offset + last.Length}, the file at {cursor.Length}");
        return [.. relative.Select(tensor => tensor with { Offset = dataStart + tensor.Offset })];
    }

    private static GgufTensorInfo ReadTensor(GgufCursor cursor)
    {
        var name = cursor.ReadName("tensor name", GgufFormat.MaxTensorNameBytes);
        var dimensionCount = cursor.Read<uint>();
        if (dimensionCount > GgufFormat.MaxDimensions)
            throw cursor.Error($"tensor \"{name}\" has {dimensionCount} dimensions, at most {GgufFormat.MaxDimensions} are possible");
        var dimensions = new long[dimensionCount];
        for (var i = 0; i < dimensions.Length; i++)
        {
            dimensions[i] = cursor.Read<long>();
            if (dimensions[i] < 0) throw cursor.Error($"tensor \"{name}\" has the dimension {(ulong)dimensions[i]}");
        }

        var type = (GgmlType)cursor.Read<uint>();
        var offset = cursor.Read<long>();
        if (!type.IsKnown()) throw cursor.Error($"tensor \"{name}\" has the unknown type {(uint)type}");
        if (!type.TryByteCount(dimensions, out var length))
            throw cursor.Error($"tensor \"{name}\" cannot be {type} [{string.Join(", ", dimensions)}]: "
                + $"rows must be multiples of {type.BlockElements()} and the size in range");
        return new GgufTensorInfo(name, type, dimensions, offset, length);
    }
}
