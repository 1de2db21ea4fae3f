using System.Text;
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
    [InlineData("""{"messages":[{"role":"system","content":"s"},{"role":"user","content":"u"}]}""", "u")]
    [InlineData("""{"instruction":"i","input":"x","output":"o"}""", "i\nx")]
    [InlineData("""{"instruction":"i","input":"","output":"o"}""", "i")]
    [InlineData("""{"prompt":"p","completion":"c"}""", "p")]
    [InlineData("""{"messages":[1,{"role":"user"}]}""", null)]
    [InlineData("""[1]""", null)]
    public void QuestionOf_Row_IsItsFirstQuestion(string row, string? question)
    {
        using var document = JsonDocument.Parse(row);
        Assert.Equal(question, SampleQuestions.QuestionOf(document.RootElement));
    }

    [Theory(Timeout = 60_000)]
    [InlineData(".jsonl", "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"}]}\n{\"prompt\":\"b\"}\n{\"prompt\":\"b\"}\nnot json\n{\"instruction\":\"c\"}\n")]
    [InlineData(".json", "[{\"messages\":[{\"role\":\"user\",\"content\":\"a\"}]},{\"prompt\":\"b\"},{\"prompt\":\"b\"},7,{\"instruction\":\"c\"}]")]
    public async Task ReadQuestions_WholeAndMutatedFile_GivesQuestionsNeverAnException(string extension, string content)
    {
        var path = Path.Combine(Path.GetTempPath(), $"{Guid.NewGuid():N}{extension}");
        try
        {
            await File.WriteAllTextAsync(path, content, TestContext.Current.CancellationToken);
            Assert.Equal(["a", "b", "c"], await SampleQuestions.ReadAsync(path, 3, TestContext.Current.CancellationToken));

            var random = new Random(3);
            for (var round = 0; round < 300; round++)
            {
                var bytes = Encoding.UTF8.GetBytes(content);
                for (var edit = random.Next(1, 6); edit > 0; edit--)
                {
                    bytes[random.Next(bytes.Length)] = (byte)random.Next(256);
                }
                await File.WriteAllBytesAsync(path, bytes[..random.Next(bytes.Length + 1)], TestContext.Current.CancellationToken);
                var questions = await SampleQuestions.ReadAsync(path, 3, TestContext.Current.CancellationToken);
                Assert.All(questions, question => Assert.InRange(question.Length, 1, 400));
            }
        }
        finally
        {
            File.Delete(path);
        }
    }
}
