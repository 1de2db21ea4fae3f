using System.Buffers;
using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;

namespace ModelOps.Tables.Datasets;

/// <summary>
/// SHA-256 over role and content of each message, each as its UTF-8 length (int32, little-endian) and its UTF-8 bytes. What else a row has stands
/// behind a negative number where a length would be: -1 before the next part, -2 tools, -3 label, -4 tool calls, -5 tool call id, -6 name.
/// </summary>
internal static class RowId
{
    private const int NextPart = -1;
    private const int Tools = -2;
    private const int Label = -3;
    private const int ToolCalls = -4;
    private const int ToolCallId = -5;
    private const int Name = -6;

    /// <param name="bytes">Written over.</param>
    public static byte[] Compute(RowContent content, ArrayBufferWriter<byte> bytes)
    {
        bytes.ResetWrittenCount();
        foreach (var (index, part) in content.Parts.Index())
        {
            if (index > 0) Append(bytes, NextPart);
            foreach (var message in part) Append(bytes, message);
        }
        Append(bytes, Tools, content.Tools);
        Append(bytes, Label, content.Label?.ToString());
        return SHA256.HashData(bytes.WrittenSpan);
    }

    private static void Append(ArrayBufferWriter<byte> bytes, RowMessage message)
    {
        Append(bytes, message.Role);
        Append(bytes, message.Content);
        Append(bytes, ToolCalls, message.ToolCalls);
        Append(bytes, ToolCallId, message.ToolCallId);
        Append(bytes, Name, message.Name);
    }

    private static void Append(ArrayBufferWriter<byte> bytes, int what, string? text)
    {
        if (text is null) return;
        Append(bytes, what);
        Append(bytes, text);
    }

    private static void Append(ArrayBufferWriter<byte> bytes, string text)
    {
        Append(bytes, Encoding.UTF8.GetByteCount(text));
        Encoding.UTF8.GetBytes(text, bytes);
    }

    private static void Append(ArrayBufferWriter<byte> bytes, int number)
    {
        BinaryPrimitives.WriteInt32LittleEndian(bytes.GetSpan(sizeof(int)), number);
        bytes.Advance(sizeof(int));
    }
}
