using ModelOps.ModelFiles.ChatTemplates;
using ModelOps.Training.Evaluations;
using ModelOps.Training.Evaluations.Metrics;
using ModelOps.Training.Plugins;

namespace ModelOps.Services.Tests.Evaluations;

/// <summary>Metrics of answers: by hand-computed cases, and by what holds of all texts.</summary>
public class MetricTests
{
    [Theory]
    [InlineData("Paris", "paris", 1)]
    [InlineData("  a\n\tperiod  of time ", "A period of time", 1)]
    [InlineData("CAFE\u0301", "caf\u00e9", 1)]
    [InlineData("Paris.", "Paris", 0)]
    [InlineData("", "", 1)]
    [InlineData("", "a", 0)]
    public void ExactMatch_OfTexts(string answer, string reference, double expected) => Assert.Equal(expected, Score(new ExactMatch(), answer, reference));

    // Lin 2004, section 3: S1 police killed the gunman, S2 police kill the gunman (LCS 3 of 4), S3 the gunman kill police (LCS 2 of 4).
    [Theory]
    [InlineData("police kill the gunman", "police killed the gunman", 0.75)]
    [InlineData("the gunman kill police", "police killed the gunman", 0.5)]
    [InlineData("the gunman police killed", "police killed the gunman", 0.5)]
    [InlineData("the cat sat", "the cat sat on the mat", 2.0 / 3)] // P 1, R 1/2
    [InlineData("A, b; C!", "a b c", 1)]
    [InlineData("", "a", 0)]
    [InlineData("...", "a", 0)]
    [InlineData("x", "y", 0)]
    [InlineData("日本語", "日本人", 2.0 / 3)]
    [InlineData("Cafe\u0301 bar", "CAFÉ", 2.0 / 3)]
    public void RougeL_OfTexts(string answer, string reference, double expected) => Assert.Equal(expected, Score(new RougeL(), answer, reference), 1e-12);

    [Theory]
    [InlineData(" {\"a\": [1, 2.5, null]}\n", 1)]
    [InlineData("\"text\"", 1)]
    [InlineData("{\"a\": 1,}", 0)]
    [InlineData("{\"a\": 1} and more", 0)]
    [InlineData("```json\n{}\n```", 0)]
    [InlineData("{\"a\": 1, \"a\": 2}", 0)]
    [InlineData("", 0)]
    public void JsonValidity_OfTexts(string answer, double expected) => Assert.Equal(expected, Score(new JsonValidity(), answer, ""));

    [Fact]
    public void LongestCommonSubsequence_RandomWords_IsThatOfTheRecursion()
    {
        var random = new Random(7);
        for (var round = 0; round < 200; round++)
        {
            var (left, right) = (Words(random, random.Next(9)), Words(random, random.Next(9)));
            Assert.Equal(Recursive(left, right), RougeL.LongestCommonSubsequence(left, right));
            Assert.Equal(RougeL.F1(left, right), RougeL.F1(right, left));
        }

        static string[] Words(Random random, int count) => [.. Enumerable.Range(0, count).Select(_ => "abc"[random.Next(3)].ToString())];

        static int Recursive(ReadOnlySpan<string> left, ReadOnlySpan<string> right) =>
            left.IsEmpty || right.IsEmpty ? 0
            : left[0] == right[0] ? 1 + Recursive(left[1..], right[1..])
            : Math.Max(Recursive(left[1..], right), Recursive(left, right[1..]));
    }

    [Fact]
    public void EveryMetric_AnyTexts_IsFromZeroToOne_AndOneOfItself()
    {
        var random = new Random(11);
        string[] pieces = ["a", "Word", " ", "\n", "日", "é", "{", "}", "\"", "1", "\ud800", ".", "A. "];
        for (var round = 0; round < 500; round++)
        {
            var (answer, reference) = (Text(), Text());
            foreach (var metric in new MetricPlugin[] { new ExactMatch(), new RougeL(), new JsonValidity() }) Assert.InRange(Score(metric, answer, reference), 0, 1);
            Assert.Equal(1, Score(new ExactMatch(), answer, answer));
            if (RougeL.Words(answer).Count > 0) Assert.Equal(1, Score(new RougeL(), answer, answer));
            if (Score(new ExactMatch(), answer, reference) == 1) Assert.Equal(RougeL.Words(reference), RougeL.Words(answer));
        }

        string Text() => string.Concat(Enumerable.Range(0, random.Next(12)).Select(_ => pieces[random.Next(pieces.Length)]));
    }

    [Theory]
    [InlineData("Which?\nA. red\nB. green\nC. blue", "B", 1, "A,B,C")]
    [InlineData("Which?\n(A) red\n(B) green", "green", 1, "red,green")]
    [InlineData("Which?\nA) red\nB) green", " A ", 0, "A,B")]
    public void Choices_AreListedInTheQuestion(string question, string reference, int correct, string texts)
    {
        var choices = AnswerChoices.Find([new("user", question)], reference)!;

        Assert.Equal(correct, choices.Correct);
        Assert.Equal(texts, string.Join(',', choices.Texts));
    }

    [Theory]
    [InlineData("Which?\nA. red\nC. blue", "A")] // a gap
    [InlineData("Which?\nA. red", "A")] // one
    [InlineData("Which?\nA. red\nB. blue", "yellow")]
    [InlineData("Which one is red?", "A")]
    public void Choices_ThatAreNone(string question, string reference) => Assert.Null(AnswerChoices.Find([new("user", question)], reference));

    [Fact]
    public void Example_OfAConversation_EndsBeforeTheLastAnswer()
    {
        ChatMessage[] messages = [new("user", "1"), new("assistant", "one"), new("user", "2"), new("assistant", "two"), new("user", "bye")];

        var example = EvaluationExample.OfConversation("id", messages)!;

        Assert.Equal(messages[..3], example.Prompt);
        Assert.Equal("two", example.Reference);
        Assert.Null(EvaluationExample.OfConversation("id", [new("user", "1")]));
    }

    private static double Score(MetricPlugin metric, string answer, string reference) => metric.Apply(new([], reference, answer, metric.Options));
}
