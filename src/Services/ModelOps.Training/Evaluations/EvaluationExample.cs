using System.Text.RegularExpressions;
using ModelOps.ModelFiles.ChatTemplates;

namespace ModelOps.Training.Evaluations;

/// <summary>A row to be measured on.</summary>
/// <param name="Id">The row's in its dataset.</param>
/// <param name="Prompt">The conversation up to the answer.</param>
/// <param name="Reference">The answer that the row has.</param>
/// <param name="Choices">Answers to choose from; null: it is no multiple choice.</param>
public sealed record EvaluationExample(string Id, IReadOnlyList<ChatMessage> Prompt, string Reference, AnswerChoices? Choices = null)
{
    /// <returns>A conversation's row, whose last assistant message is the reference; null if the assistant says nothing in it.</returns>
    public static EvaluationExample? OfConversation(string id, IReadOnlyList<ChatMessage> messages)
    {
        var last = messages.Count - 1;
        while (last >= 0 && messages[last].Role != ChatMessage.AssistantRole) last--;
        if (last < 0 || messages[last].Content is not { } reference) return null;
        ChatMessage[] prompt = [.. messages.Take(last)];
        return new(id, prompt, reference, AnswerChoices.Find(prompt, reference));
    }
}

/// <param name="Correct">Index of the right one.</param>
public sealed partial record AnswerChoices(IReadOnlyList<string> Texts, int Correct)
{
    /// <summary>
    /// The options that the last message of a prompt lists, each on a line of its own: <c>A. text</c>, <c>B) text</c>, <c>C: text</c> …, from A on
    /// without a gap. The reference is a letter, and then the letters are the choices, or the text of an option, and then the texts are.
    /// </summary>
    /// <returns>Null if it lists fewer than two, or the reference is none of them.</returns>
    public static AnswerChoices? Find(IReadOnlyList<ChatMessage> prompt, string reference)
    {
        if (prompt.Count == 0 || prompt[^1].Content is not { } question) return null;
        var options = Option().Matches(question).Select(match => (Letter: match.Groups["letter"].Value, Text: match.Groups["text"].Value.Trim())).ToList();
        if (options.Count < 2 || options.Index().Any(option => option.Item.Letter[0] != 'A' + option.Index)) return null;
        IReadOnlyList<string>[] sets = [[.. options.Select(option => option.Letter)], [.. options.Select(option => option.Text)]];
        return sets.Select(texts => new AnswerChoices(texts, IndexIn(texts, reference.Trim()))).FirstOrDefault(choices => choices.Correct >= 0);
    }

    private static int IndexIn(IReadOnlyList<string> texts, string reference)
    {
        for (var i = 0; i < texts.Count; i++)
            if (texts[i] == reference) return i;
        return -1;
    }

    [GeneratedRegex(@"^[ \t]*\(?(?<letter>[A-Z])[.):][ \t]+(?<text>\S.*)$", RegexOptions.Multiline | RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Option();
}
