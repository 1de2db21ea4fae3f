using System.Text.Json;
using ModelOps.Cli.Models;
using ModelOps.Cli.Output;
using ModelOps.Cli.Quickstart;

namespace ModelOps.Tests.Cli;

public sealed class OutputTests
{
    [Theory]
    [InlineData(0, "0 B")]
    [InlineData(999, "999 B")]
    [InlineData(1000, "1.0 kB")]
    [InlineData(3_914_000, "3.9 MB")]
    [InlineData(999_600_000, "1.0 GB")]
    [InlineData(150_000_000, "150 MB")]
    public void Bytes_EachSize_HasTwoOrThreeDigits(long bytes, string text) => Assert.Equal(text, Human.Bytes(bytes));

    [Theory]
    [InlineData(1, "5 s")]
    [InlineData(73, "75 s")]
    [InlineData(170, "3 min")]
    [InlineData(5400, "2 h")]
    public void About_Guess_IsRound(double seconds, string text) => Assert.Equal(text, Human.About(seconds));

    [Fact]
    public void Sparkline_FallingLoss_FallsWithinTheWidth()
    {
        Assert.Equal("█▆▃▁", Sparkline.Of([4, 3, 2, 1], 10));
        Assert.Equal("█▁", Sparkline.Of([4, 4, double.NaN, 1, 1], 2));
        Assert.Equal("▁▁", Sparkline.Of([2, 2], 8));
        Assert.Equal("", Sparkline.Of([double.NaN], 8));
    }

    [Theory]
    [InlineData("rows/My Rows.jsonl", "my-rows")]
    [InlineData("Q8_0", "q8-0")]
    [InlineData("models/wordsmith/", "wordsmith")]
    [InlineData("rows/___.json", "model")]
    public void NameOf_Path_IsAnArtifactName(string path, string name) => Assert.Equal(name, ModelsCommand.NameOf(path));

    [Theory]
    [InlineData("""{"messages":[{"role":"user","content":"u"},{"role":"assistant","content":"a"}]}""", null, "u")]
    [InlineData("""{"messages":[{"role":"system","content":"s"},{"role":"user","content":"u"},{"role":"assistant","content":"a"}]}""", "s", "u")]
    [InlineData("""{"messages":[{"role":"user","content":"u"}]}""", null, null)]
    [InlineData("""{"messages":[{"role":"user","content":"u"},{"role":"assistant","content":null,"tool_calls":"[]"}]}""", null, null)]
    [InlineData("""{"messages":[{"role":"assistant","content":"a"}]}""", null, null)]
    public void QuestionOf_Row_IsItsFirstTurn(string row, string? system, string? question)
    {
        using var document = JsonDocument.Parse(row);
        var asked = HeldOutQuestions.Of(document.RootElement);
        Assert.Equal((system, question), (asked?.System, asked?.Question));
    }

    [Theory]
    [InlineData("one two three four five six", 20, "one two three four|five six")]
    [InlineData("short", 20, "short")]
    [InlineData("a-word-that-is-longer-than-the-line and more", 20, "a-word-that-is-longer-than-the-line|and more")]
    [InlineData("", 20, "")]
    public void Lines_OfText_BreakAtSpaces(string text, int width, string lines) => Assert.Equal(lines, string.Join('|', TextWrap.Lines(text, width)));

    [Theory]
    [InlineData("/home/me/rows.jsonl", "/home/me/rows.jsonl")]
    [InlineData("my rows.jsonl", "'my rows.jsonl'")]
    [InlineData("it's", "'it'\\''s'")]
    public void Quoted_Word_MeansItselfToAShell(string word, string quoted) => Assert.Equal(quoted, Shell.Quoted(word));
}
