using System.Text.Encodings.Web;
using System.Text.Json;

namespace ModelOps.Samples;

/// <summary>Rows for supervised fine-tuning, in OpenAI's chat format: questions about words, answered with their definitions.</summary>
public static class Questions
{
    private const int WordingsPerWord = 2;

    private static readonly string[] wordings =
    [
        "What does {0} mean?",
        "What is the meaning of {0}?",
        "Define {0}.",
        "Please explain the word {0}.",
        "How would you define {0}?",
        "I don't know the word {0}. What does it mean?",
    ];

    private static readonly JsonSerializerOptions json = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <returns>JSON lines, in a seeded order.</returns>
    public static IEnumerable<string> Rows(IEnumerable<WordSense> words, int seed)
    {
        var random = new Random(seed);
        var rows = words.SelectMany(word =>
        {
            var chosen = wordings.ToArray();
            random.Shuffle(chosen);
            return chosen.Take(WordingsPerWord).Select(wording => Row(string.Format(null, wording, word.Word), word.Definition));
        }).ToArray();
        random.Shuffle(rows);
        return rows;
    }

    private static string Row(string question, string answer) => JsonSerializer.Serialize(
        new { messages = new[] { new { role = "user", content = question }, new { role = "assistant", content = answer } } }, json);
}
