using System.Text.Encodings.Web;
using System.Text.Json;

namespace ModelOps.Samples;

/// <summary>Rows in OpenAI's chat format, as JSON lines in a seeded order: questions about words, answered with their definitions.</summary>
/// <param name="Learned">For fine-tuning: some of the words, each in several wordings.</param>
/// <param name="HeldOut">For the test: every word once, in a wording that is not learned; half of the words are not asked for in what is learned either.</param>
public sealed record Questions(IReadOnlyList<string> Learned, IReadOnlyList<string> HeldOut)
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
        "What is meant by {0}?",
        "Tell me the meaning of {0}.",
        "{0}: what does that mean?",
        "Could you define {0} for me?",
        "What is the definition of {0}?",
        "What do you understand by {0}?",
    ];

    private static readonly string[] heldOutWordings =
    [
        "Can you tell me what {0} means?",
        "Give me a definition of {0}.",
        "Explain {0} to me.",
        "What do people mean when they say {0}?",
    ];

    private static readonly JsonSerializerOptions json = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <param name="learned">How many of the words are learned.</param>
    public static Questions Make(IReadOnlyList<WordSense> words, int learned, int seed)
    {
        var random = new Random(seed);
        var shuffled = Shuffled(words, random);
        return new(Ask(shuffled.Take(learned), wordings, WordingsPerWord, random), Ask(shuffled, heldOutWordings, 1, random));
    }

    private static string[] Ask(IEnumerable<WordSense> words, string[] wordings, int perWord, Random random)
    {
        var rows = words.SelectMany(word => Shuffled(wordings, random).Take(perWord).Select(wording => Row(word, wording))).ToList();
        return Shuffled(rows, random);
    }

    private static T[] Shuffled<T>(IReadOnlyList<T> items, Random random)
    {
        var shuffled = items.ToArray();
        random.Shuffle(shuffled);
        return shuffled;
    }

    private static string Row(WordSense word, string wording) => JsonSerializer.Serialize(
        new
        {
            messages = new[]
            {
                new { role = "user", content = string.Format(null, wording, word.Word) },
                new { role = "assistant", content = word.Definition },
            },
        },
        json);
}
