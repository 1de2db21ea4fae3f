using System.Text;
using ModelOps.Ggml;

namespace ModelOps.Services.Tests.Ggml;

public sealed class CompletionTextTests
{
    [Fact]
    public void Append_StopAcrossTokens_IsHeldBackAndNeverSent()
    {
        var text = new CompletionText(["</end>"]);

        string[] sent = [.. new[] { "a <", "/e", "nd", "x <", "/end", "> more" }.Select(part => text.Append(Encoding.UTF8.GetBytes(part)))];

        Assert.Equal(["a ", "", "", "</endx ", "", ""], sent);
        Assert.True(text.Stopped);
        Assert.Equal("", text.Flush());
    }

    [Fact]
    public void Append_CharacterInPieces_ComesWhole()
    {
        var text = new CompletionText([]);
        var bytes = Encoding.UTF8.GetBytes("é🥊");

        Assert.Equal(["", "é", "", "", "", "🥊"], bytes.Select(value => text.Append([value])));
    }

    [Fact]
    public void Flush_CharacterCutOff_IsReplaced()
    {
        var text = new CompletionText([]);

        Assert.Equal("a", text.Append([(byte)'a', 0xf0, 0x9f]));
        Assert.Equal("\ufffd", text.Flush());
    }

    [Fact]
    public void Flush_BeginningOfAStop_IsSentAfterAll()
    {
        var text = new CompletionText(["stop"]);

        Assert.Equal("go", text.Append("gosto"u8));
        Assert.Equal("sto", text.Flush());
    }

    /// <summary>Oracle: search and decode the whole at once.</summary>
    [Fact]
    public void Append_RandomBytesInRandomPieces_EqualsTheWholeUpToItsFirstStop()
    {
        var random = new Random(20);
        var stopped = 0;
        for (var round = 0; round < 3000; round++)
        {
            var bytes = RandomBytes(random);
            string[] stops = [.. Enumerable.Range(0, random.Next(3)).Select(_ => RandomStop(random))];

            var (sent, whole) = Stream(random, bytes, stops);

            var first = stops.Select(stop => bytes.AsSpan().IndexOf(Encoding.UTF8.GetBytes(stop)))
                .Where(at => at >= 0)
                .DefaultIfEmpty(-1)
                .Min();
            Assert.Equal(first >= 0, whole.Stopped);
            Assert.Equal(Encoding.UTF8.GetString(first >= 0 ? bytes.AsSpan(0, first) : bytes), sent);
            if (first >= 0) stopped++;
        }
        Assert.InRange(stopped, 300, 2700);
    }

    private static (string Sent, CompletionText Text) Stream(Random random, byte[] bytes, string[] stops)
    {
        var text = new CompletionText(stops);
        var sent = new StringBuilder();
        for (var at = 0; at < bytes.Length && !text.Stopped;)
        {
            var count = Math.Min(random.Next(1, 4), bytes.Length - at);
            sent.Append(text.Append(bytes.AsSpan(at, count)));
            at += count;
        }
        return (sent.Append(text.Flush()).ToString(), text);
    }

    private static byte[] RandomBytes(Random random)
    {
        byte[][] parts = ["a"u8.ToArray(), "b"u8.ToArray(), "é"u8.ToArray(), "🥊"u8.ToArray(), [0xf0], [0x9f], [0xc3], [0xff]];
        return [.. Enumerable.Range(0, random.Next(30)).SelectMany(_ => parts[random.Next(parts.Length)])];
    }

    private static string RandomStop(Random random)
    {
        string[] parts = ["a", "b", "é", "🥊"];
        return string.Concat(Enumerable.Range(0, random.Next(1, 4)).Select(_ => parts[random.Next(parts.Length)]));
    }
}
