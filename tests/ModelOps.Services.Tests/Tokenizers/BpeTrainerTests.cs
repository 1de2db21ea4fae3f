using System.Text;
using System.Text.RegularExpressions;
using ModelOps.ModelFiles.Tokenizers;

namespace ModelOps.Services.Tests.Tokenizers;

public sealed class BpeTrainerTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public void Train_SmallText_LearnsTheMergesThatCountingByHandGives()
    {
        // "aaab" three times, "ab" twice: a+a is seen 6 times, a+b 5. After aa: aa+a 3 and a+b 5, of which only 2 stay beside a lone a.
        var trained = BpeTrainer.Train(["aaab", "aaab", "aaab", "ab", "ab"], new BpeTrainerOptions { VocabularySize = 259 }, Cancellation);

        Assert.Equal([new MergeRule("a", "a"), new MergeRule("a", "b"), new MergeRule("aa", "ab")], trained.Definition.Merges);
        Assert.Equal(259, trained.Definition.VocabularySize);
    }

    [Fact]
    public void Train_EquallyFrequentPairs_TakesTheLexicographicallyFirst()
    {
        var trained = BpeTrainer.Train(["yz", "yz", "ab", "ab"], new BpeTrainerOptions { VocabularySize = 257 }, Cancellation);

        Assert.Equal([new MergeRule("a", "b")], trained.Definition.Merges);
    }

    [Fact]
    public void Train_RandomTexts_AgreesWithCountingEverythingAnew()
    {
        string[] texts = [.. RandomTexts.Make(seed: 5, count: 60).Select(text => text.Replace("\n", " "))];
        var trained = BpeTrainer.Train(texts, new BpeTrainerOptions { VocabularySize = 340 }, Cancellation);

        Assert.Equal(NaiveMerges(texts, trained.Definition.Merges.Count), trained.Definition.Merges);
    }

    [Fact]
    public void Train_FewerPairsThanAskedFor_StopsAtTheMinimumFrequency()
    {
        var trained = BpeTrainer.Train(["abc abc xyz"], new BpeTrainerOptions { VocabularySize = 1000, MinimumFrequency = 2 }, Cancellation);

        Assert.DoesNotContain(trained.Definition.Merges, merge => merge.Left.Contains('x') || merge.Right.Contains('z'));
        Assert.Contains(new MergeRule("ab", "c"), trained.Definition.Merges);
    }

    [Fact]
    public void Train_SpecialTokens_GetTheFirstIdsAndNoMergeTouchesThem()
    {
        var trained = BpeTrainer.Train(
            Enumerable.Repeat("<|x|>hello<|x|>", 20), new BpeTrainerOptions { VocabularySize = 270, SpecialTokens = ["<|x|>"] }, Cancellation);

        Assert.Equal(new VocabularyToken("<|x|>", TokenKind.Control), trained.Definition.Tokens[0]);
        Assert.DoesNotContain(trained.Definition.Merges, merge => merge.Left.Contains('|') || merge.Right.Contains('|'));
    }

    [Fact]
    public void Train_ImpossibleOptions_NamesEveryFault()
    {
        var options = new BpeTrainerOptions { VocabularySize = 10, MinimumFrequency = 0, SpecialTokens = ["<a>", "<a>", "b"], PreTokenizer = [] };

        var exception = Assert.Throws<ArgumentException>(() => BpeTrainer.Train([], options, Cancellation));

        Assert.All(["VocabularySize", "MinimumFrequency", "twice", "two characters", "PreTokenizer"], part => Assert.Contains(part, exception.Message));
    }

    [Fact]
    public void Train_Cancelled_Throws() =>
        Assert.Throws<OperationCanceledException>(() =>
            BpeTrainer.Train(["text"], new BpeTrainerOptions { VocabularySize = 300 }, new CancellationToken(canceled: true)));

    private static List<MergeRule> NaiveMerges(string[] texts, int count)
    {
        var words = texts.SelectMany(Words).ToList();
        var merges = new List<MergeRule>();
        while (merges.Count < count)
        {
            var best = words.SelectMany(word => word.Zip(word.Skip(1))).GroupBy(pair => pair)
                .OrderByDescending(group => group.Count())
                .ThenBy(group => group.Key.First, StringComparer.Ordinal).ThenBy(group => group.Key.Second, StringComparer.Ordinal).First().Key;
            merges.Add(new MergeRule(best.First, best.Second));
            words = [.. words.Select(word => Merge(word, best))];
        }
        return merges;
    }

    private static IEnumerable<List<string>> Words(string text)
    {
        var pieces = Regex.EnumerateMatches(text, PreTokenizerStep.Gpt2Pattern);
        var words = new List<List<string>>();
        foreach (var piece in pieces)
        {
            words.Add([.. Encoding.UTF8.GetBytes(text.Substring(piece.Index, piece.Length))
                .Select(value => ByteLevelAlphabet.CharacterOf(value).ToString())]);
        }
        return words;
    }

    private static List<string> Merge(List<string> word, (string First, string Second) pair)
    {
        var result = new List<string>();
        for (var index = 0; index < word.Count; index++)
        {
            var merges = index + 1 < word.Count && word[index] == pair.First && word[index + 1] == pair.Second;
            result.Add(merges ? pair.First + pair.Second : word[index]);
            index += merges ? 1 : 0;
        }
        return result;
    }
}
