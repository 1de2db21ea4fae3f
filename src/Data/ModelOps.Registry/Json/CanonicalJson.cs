using System.Buffers;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;

namespace ModelOps.Registry;

/// <summary>
/// JSON Canonicalization Scheme, RFC 8785: one byte sequence per JSON value, so that digests and signatures of JSON are stable.
/// Numbers are IEEE 754 doubles: an integer beyond ±2^53 is rounded as ECMAScript rounds it.
/// </summary>
public static class CanonicalJson
{
    /// <returns>UTF-8 without byte order mark or white space.</returns>
    /// <exception cref="CanonicalJsonException">
    /// A key occurs twice in an object, a string holds a lone surrogate, or a number is beyond the range of a double.
    /// </exception>
    public static byte[] Serialize(JsonElement value)
    {
        var output = new ArrayBufferWriter<byte>();
        Write(output, value, "$");
        return output.WrittenSpan.ToArray();
    }

    /// <inheritdoc cref="Serialize(JsonElement)"/>
    public static byte[] Serialize<T>(T value, JsonTypeInfo<T> type) => Serialize(JsonSerializer.SerializeToElement(value, type));

    private static void Write(ArrayBufferWriter<byte> output, JsonElement value, string path)
    {
        switch (value.ValueKind)
        {
            case JsonValueKind.Object:
                WriteObject(output, value, path);
                break;
            case JsonValueKind.Array:
                WriteArray(output, value, path);
                break;
            case JsonValueKind.String:
                WriteString(output, ReadString(() => value.GetString()!, path));
                break;
            case JsonValueKind.Number:
                WriteNumber(output, value, path);
                break;
            case JsonValueKind.True:
                output.Write("true"u8);
                break;
            case JsonValueKind.False:
                output.Write("false"u8);
                break;
            case JsonValueKind.Null:
                output.Write("null"u8);
                break;
            default:
                throw new CanonicalJsonException($"{path}: there is no value. Pass an element of a parsed document.");
        }
    }

    private static void WriteObject(ArrayBufferWriter<byte> output, JsonElement value, string path)
    {
        var members = new List<(string Name, JsonElement Value)>();
        foreach (var property in value.EnumerateObject())
            members.Add((ReadString(() => property.Name, path), property.Value));
        members.Sort((left, right) => string.CompareOrdinal(left.Name, right.Name)); // by UTF-16 code unit, §3.2.3

        output.Write("{"u8);
        for (var i = 0; i < members.Count; i++)
        {
            var (name, member) = members[i];
            if (i > 0)
            {
                if (name == members[i - 1].Name)
                    throw new CanonicalJsonException($"{path}: the key '{name}' occurs twice. Keep one of them.");
                output.Write(","u8);
            }
            WriteString(output, name);
            output.Write(":"u8);
            Write(output, member, $"{path}.{name}");
        }
        output.Write("}"u8);
    }

    private static void WriteArray(ArrayBufferWriter<byte> output, JsonElement value, string path)
    {
        output.Write("["u8);
        var index = 0;
        foreach (var item in value.EnumerateArray())
        {
            if (index > 0)
                output.Write(","u8);
            Write(output, item, $"{path}[{index++}]");
        }
        output.Write("]"u8);
    }

    private static void WriteNumber(ArrayBufferWriter<byte> output, JsonElement value, string path)
    {
        var number = value.GetDouble();
        if (!double.IsFinite(number))
            throw new CanonicalJsonException($"{path}: {value.GetRawText()} is beyond the range of a double. Write it as a string.");
        output.Write(Encoding.ASCII.GetBytes(EcmaNumber.Format(number)));
    }

    private static void WriteString(ArrayBufferWriter<byte> output, string value)
    {
        output.Write("\""u8);
        foreach (var rune in value.EnumerateRunes())
            WriteRune(output, rune);
        output.Write("\""u8);
    }

    private static void WriteRune(ArrayBufferWriter<byte> output, Rune rune)
    {
        switch (rune.Value)
        {
            case '"':
                output.Write("\\\""u8);
                break;
            case '\\':
                output.Write(@"\\"u8);
                break;
            case '\b':
                output.Write(@"\b"u8);
                break;
            case '\t':
                output.Write(@"\t"u8);
                break;
            case '\n':
                output.Write(@"\n"u8);
                break;
            case '\f':
                output.Write(@"\f"u8);
                break;
            case '\r':
                output.Write(@"\r"u8);
                break;
            case < ' ':
                output.Write(Encoding.ASCII.GetBytes($"\\u{rune.Value:x4}"));
                break;
            default:
                output.Advance(rune.EncodeToUtf8(output.GetSpan(4)));
                break;
        }
    }

    /// <summary>The reader decodes escapes lazily and reports a lone surrogate or bad UTF-8 as an invalid operation.</summary>
    private static string ReadString(Func<string> read, string path)
    {
        try
        {
            return read();
        }
        catch (InvalidOperationException fault)
        {
            throw new CanonicalJsonException($"{path}: the text is not valid Unicode (a lone surrogate). Correct or remove it.", fault);
        }
    }
}

/// <summary>The value has no canonical form; the message says where and why.</summary>
public sealed class CanonicalJsonException(string message, Exception? cause = null) : FormatException(message, cause);
