using System.CommandLine;
using System.Diagnostics;
using System.Text;
using ModelOps.ModelFiles.ChatTemplates;
using ModelOps.ModelFiles.Tokenizers;

namespace ModelOps.Benchmarks.Tokenizers;

/// <summary>A vocabulary trained over a text, the text encoded and decoded, beside turning it into UTF-8 alone; a chat rendered.</summary>
internal static class TokenizerBenchmark
{
    private const long DefaultSize = 50_000_000;
    private const int VocabularySize = 4096;
    private const int Renderings = 5_000;

    public static Command Create()
    {
        var size = new Option<long>("--size") { Description = "Bytes of the text.", DefaultValueFactory = _ => DefaultSize };
        var text = new Option<string?>("--text") { Description = "A text file to use [default: made-up words]." };
        var templates = new Option<string>("--templates")
        {
            Description = "Folder of chat templates.",
            DefaultValueFactory = _ => "tests/ModelOps.Services.Tests/ChatTemplates/templates",
        };
        var command = new Command("tokenizer", "Training and use of a tokenizer, and rendering of chats.") { size, text, templates };
        command.SetAction((parsed, cancellationToken) =>
        {
            RunTokenizer(Texts(parsed.GetValue(text), parsed.GetValue(size)), cancellationToken);
            RunTemplates(parsed.GetValue(templates)!);
            return Task.FromResult(0);
        });
        return command;
    }

    private static void RunTokenizer(List<string> texts, CancellationToken cancellationToken)
    {
        var bytes = texts.Sum(text => (long)Encoding.UTF8.GetByteCount(text));
        Console.WriteLine($"{texts.Count} texts, {bytes / 1e6:0} MB, {Environment.ProcessorCount} CPUs, .NET {Environment.Version}");
        var utf8 = Time("to UTF-8 alone", bytes, 1, () => texts.Sum(text => (long)Encoding.UTF8.GetBytes(text).Length));
        TrainedTokenizer? trained = null;
        Time($"training of {VocabularySize} tokens", bytes, utf8, () =>
        {
            trained = BpeTrainer.Train(texts, new BpeTrainerOptions { VocabularySize = VocabularySize }, cancellationToken);
            return trained.Definition.VocabularySize;
        });
        var tokenizer = new HuggingFaceTokenizer(trained!.Definition, trained.Config);
        var encoded = new List<int[]>();
        Time("encoding", bytes, utf8, () =>
        {
            encoded = texts.ConvertAll(tokenizer.Encode);
            return encoded.Sum(ids => (long)ids.Length);
        });
        Time("decoding", bytes, utf8, () => encoded.Sum(ids => (long)tokenizer.Decode(ids).Length));
    }

    private static double Time(string what, long bytes, double baseline, Func<long> work)
    {
        var clock = Stopwatch.StartNew();
        var count = work();
        var seconds = clock.Elapsed.TotalSeconds;
        Console.WriteLine($"{what}: {seconds:0.00} s, {bytes / 1e6 / seconds:0.0} MB/s, {seconds / baseline:0.0} times as long, {count}");
        return seconds;
    }

    private static void RunTemplates(string folder)
    {
        foreach (var path in Directory.GetFiles(folder, "*.jinja").Order(StringComparer.Ordinal))
        {
            var template = ChatTemplate.Parse(File.ReadAllText(path));
            var times = Enumerable.Range(0, Renderings).Select(_ => Render(template)).OfType<double>().Order().ToArray();
            Console.WriteLine(times is []
                ? $"{Path.GetFileName(path)}: refuses this chat"
                : $"{Path.GetFileName(path)}: p50 {times[times.Length / 2]:0} µs, p99 {times[times.Length * 99 / 100]:0} µs for 10 messages");
        }
    }

    private static double? Render(ChatTemplate template)
    {
        var messages = Enumerable.Range(0, 10).Select(turn => new ChatMessage(
            turn % 2 == 0 ? "user" : ChatMessage.AssistantRole, $"This is turn {turn} of the chat. It says what a turn of a chat says, in a few words.")).ToList();
        var input = new ChatTemplateInput { Messages = messages, AddGenerationPrompt = true, BosToken = "<s>", EosToken = "</s>" };
        var clock = Stopwatch.StartNew();
        try
        {
            _ = template.Render(input).Text;
            return clock.Elapsed.TotalMicroseconds;
        }
        catch (ChatTemplateException)
        {
            return null;
        }
    }

    private static List<string> Texts(string? path, long size)
    {
        if (path is not null) return [.. File.ReadLines(path)];
        var random = new Random(1);
        var words = Enumerable.Range(0, 50_000).Select(_ => Word(random)).ToArray();
        var texts = new List<string>();
        for (var written = 0L; written < size; written += texts[^1].Length + 1)
            texts.Add(string.Join(' ', Enumerable.Range(0, 60).Select(_ => words[(int)(words.Length * Math.Pow(random.NextDouble(), 3))])));
        return texts;
    }

    private static string Word(Random random) =>
        string.Concat(Enumerable.Range(0, random.Next(2, 12)).Select(_ => (char)('a' + (int)(26 * Math.Pow(random.NextDouble(), 1.5)))));
}
