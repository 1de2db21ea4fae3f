using System.Text.Json;

namespace ModelOps.ModelFiles.Safetensors;

/// <summary>The JSON header of a safetensors file, checked as the reference implementation checks it: every byte of the data part
/// belongs to exactly one tensor. Format: https://huggingface.co/docs/safetensors.</summary>
internal sealed record SafetensorsHeader(IReadOnlyList<TensorInfo> Tensors, IReadOnlyDictionary<string, string> Metadata)
{
    public const string MetadataName = "__metadata__";

    /// <summary>Bytes of the length that stands before the header.</summary>
    public const int PrefixLength = 8;

    /// <summary>Longest header that the reference implementation reads, in bytes.</summary>
    public const long MaxLength = 100_000_000;

    private const int MaxErrors = 20;

    /// <param name="path">Only for messages.</param>
    /// <param name="dataStart">Offset of the data part in the file.</param>
    /// <param name="dataLength">Bytes of the data part.</param>
    public static SafetensorsHeader Parse(string path, ReadOnlyMemory<byte> utf8, long dataStart, long dataLength) =>
        JsonFile.Parse(path, utf8, root =>
        {
            var errors = new List<string>();
            var tensors = new List<TensorInfo>();
            IReadOnlyDictionary<string, string> metadata = new Dictionary<string, string>();
            foreach (var property in root.EnumerateObject())
            {
                if (errors.Count >= MaxErrors) break;
                if (property.NameEquals(MetadataName)) metadata = ReadMetadata(property.Value, errors);
                else if (ReadTensor(property.Name, property.Value, dataStart, dataLength, errors) is { } tensor) tensors.Add(tensor);
            }

            if (errors.Count == 0) CheckCoverage(tensors, dataStart, dataLength, errors);
            return errors.Count == 0 ? new SafetensorsHeader(tensors, metadata) : throw new InvalidModelFileException(path, errors);
        });

    private static Dictionary<string, string> ReadMetadata(JsonElement value, List<string> errors)
    {
        var metadata = new Dictionary<string, string>();
        if (value.ValueKind != JsonValueKind.Object)
        {
            errors.Add($"{MetadataName} must be an object of strings, found {value.ValueKind}");
            return metadata;
        }

        foreach (var entry in value.EnumerateObject())
        {
            if (entry.Value.ValueKind == JsonValueKind.String) metadata[entry.Name] = entry.Value.GetString()!;
            else errors.Add($"{MetadataName}: \"{entry.Name}\" must be a string, found {entry.Value.ValueKind}");
        }

        return metadata;
    }

    private static TensorInfo? ReadTensor(string name, JsonElement value, long dataStart, long dataLength, List<string> errors)
    {
        if (value.ValueKind != JsonValueKind.Object)
        {
            errors.Add($"tensor \"{name}\": an object is expected, found {value.ValueKind}");
            return null;
        }

        var fields = new JsonFields(value);
        var dtypeName = fields.Text("dtype");
        if (dtypeName is null || !DtypeExtensions.TryParse(dtypeName, out var dtype))
        {
            var known = string.Join(", ", Enum.GetValues<Dtype>().Select(DtypeExtensions.Name));
            errors.Add($"tensor \"{name}\": dtype {dtypeName ?? "(none)"} is not one of {known}");
            return null;
        }

        if (ReadLongs(fields.Find("shape")) is not { } shape)
        {
            errors.Add($"tensor \"{name}\": \"shape\" must be a list of non-negative integers");
            return null;
        }

        if (ReadLongs(fields.Find("data_offsets")) is not [var begin, var end] || begin > end)
        {
            errors.Add($"tensor \"{name}\": \"data_offsets\" must be [begin, end] with begin <= end");
            return null;
        }

        if (end > dataLength)
        {
            errors.Add($"tensor \"{name}\": ends at byte {end} of the data, which has {dataLength} bytes");
            return null;
        }

        if (!TryByteCount(dtype, shape, out var expected) || expected != end - begin)
        {
            errors.Add($"tensor \"{name}\": {dtype.Name()} [{string.Join(", ", shape)}] "
                + $"does not take the {end - begin} bytes of its data_offsets");
            return null;
        }

        return new TensorInfo(name, dtype, shape, dataStart + begin, end - begin);
    }

    private static long[]? ReadLongs(JsonElement? value)
    {
        if (value is not { ValueKind: JsonValueKind.Array } array) return null;
        var numbers = new long[array.GetArrayLength()];
        var i = 0;
        foreach (var item in array.EnumerateArray())
        {
            if (item.ValueKind != JsonValueKind.Number || !item.TryGetInt64(out var number) || number < 0) return null;
            numbers[i++] = number;
        }

        return numbers;
    }

    internal static bool TryByteCount(Dtype dtype, ReadOnlySpan<long> shape, out long count)
    {
        // UInt128 cannot overflow here: it is cut off above long.MaxValue after every factor below 2^63.
        UInt128 product = (UInt128)dtype.Size();
        foreach (var dimension in shape)
        {
            product *= (UInt128)dimension;
            if (product > long.MaxValue)
            {
                count = 0;
                return false;
            }
        }

        count = (long)product;
        return true;
    }

    private static void CheckCoverage(List<TensorInfo> tensors, long dataStart, long dataLength, List<string> errors)
    {
        var position = dataStart;
        string? previous = null;
        foreach (var tensor in tensors.OrderBy(tensor => tensor.Offset).ThenBy(tensor => tensor.Length))
        {
            if (tensor.Offset < position) errors.Add($"tensor \"{tensor.Name}\" overlaps tensor \"{previous}\"");
            else if (tensor.Offset > position)
                errors.Add($"{tensor.Offset - position} bytes before tensor \"{tensor.Name}\" belong to no tensor");
            if (errors.Count >= MaxErrors) return;
            position = Math.Max(position, tensor.Offset + tensor.Length);
            previous = tensor.Name;
        }

        if (position < dataStart + dataLength) errors.Add($"{dataStart + dataLength - position} bytes at the end belong to no tensor");
    }
}
