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

    public static byte[] Compute(RowContent content)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (var (index, part) in content.Parts.Index())
        {
            if (index > 0) Append(hash, NextPart);
            foreach (var message in part) Append(hash, message);
        }
        Append(hash, Tools, content.Tools);
        Append(hash, Label, content.Label?.ToString());
        return hash.GetHashAndReset();
    }

    private static void Append(IncrementalHash hash, RowMessage message)
    {
        Append(hash, message.Role);
        Append(hash, message.Content);
        Append(hash, ToolCalls, message.ToolCalls);
        Append(hash, ToolCallId, message.ToolCallId);
        Append(hash, Name, message.Name);
    }

    private static void Append(IncrementalHash hash, int what, string? text)
    {
        if (text is null) return;
        Append(hash, what);
        Append(hash, text);
    }

    private static void Append(IncrementalHash hash, string text)
    {
        var bytes = Encoding.UTF8.GetBytes(text);
        Append(hash, bytes.Length);
        hash.AppendData(bytes);
    }

    private static void Append(IncrementalHash hash, int number)
    {
        Span<byte> bytes = stackalloc byte[sizeof(int)];
        BinaryPrimitives.WriteInt32LittleEndian(bytes, number);
        hash.AppendData(bytes);
    }
}
