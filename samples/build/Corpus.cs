namespace ModelOps.Samples;

/// <summary>What the base model reads.</summary>
/// <remarks>
/// A fact that is always met in the same words is learned as a string and cannot be asked for in other ones (Allen-Zhu and Li 2023,
/// "Physics of Language Models: Part 3.1"). So every definition comes back in many forms, among other neighbours each time.
/// Some forms put it at the start of a line, where it begins with other tokens than after a space, as the answers of a chat do.
/// The chat turns give the turn tokens a meaning before an adapter, which leaves embeddings alone, has to use them; they
/// ask for other things than the question set does.
/// </remarks>
public static class Corpus
{
    private const int EntriesPerDocument = 4;
    private const int PassesPerChat = 3;

    /// <summary>{0} is the word, {1} its definition.</summary>
    private static readonly string[] forms =
    [
        "{0}: {1}",
        "{0}\n{1}",
        "The word {0} means: {1}",
        "The meaning of {0} is easy to say:\n{1}",
        "Many people know the word {0}. They use it for this:\n{1}",
        "What is {0}? {1}",
        "In this dictionary, {0} is explained as follows.\n{1}",
        "{1}: this is called {0}",
    ];

    /// <param name="passes">How often each word comes back.</param>
    public static IEnumerable<string> Documents(IReadOnlyList<WordSense> words, int passes, Random random)
    {
        for (var pass = 0; pass < passes; pass++)
        {
            var shuffled = words.ToArray();
            random.Shuffle(shuffled);
            foreach (var entries in shuffled.Chunk(EntriesPerDocument)) yield return string.Join('\n', entries.Select(entry => Entry(entry, random)));
            if (pass % PassesPerChat != 0) continue;
            foreach (var word in shuffled) yield return Chat(word, random);
        }
    }

    /// <summary>What the tokenizer learns from: every definition and example once.</summary>
    public static IEnumerable<string> English(IEnumerable<WordSense> words) => words.SelectMany(word => word.Examples.Prepend($"{word.Word}: {word.Definition}"));

    private static string Entry(WordSense word, Random random) => string.Format(null, forms[random.Next(forms.Length)], word.Word, word.Definition);

    private static string Chat(WordSense word, Random random) => word.Examples.Count > 0 && random.Next(2) == 0
        ? Turn("user", $"Use {word.Word} in a sentence.") + Turn("assistant", word.Examples[random.Next(word.Examples.Count)])
        : Turn("user", $"Which word means this: {word.Definition}?") + Turn("assistant", word.Word);

    private static string Turn(string role, string text) => $"{Wordsmith.TurnStart}{role}\n{text}{Wordsmith.TurnEnd}\n";
}
