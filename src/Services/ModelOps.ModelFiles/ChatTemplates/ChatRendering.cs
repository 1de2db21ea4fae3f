namespace ModelOps.ModelFiles.ChatTemplates;

/// <summary>A conversation rendered for training, or why its assistant's words cannot be told apart.</summary>
public abstract record TrainingRendering
{
    private TrainingRendering()
    {
    }

    /// <param name="Chat">Its spans hold what the assistant wrote, each with the token that ends the turn.</param>
    public sealed record Rendered(RenderedChat Chat) : TrainingRendering;

    /// <param name="Reason">For the user: which message, and what the template does with it.</param>
    public sealed record Impossible(string Reason) : TrainingRendering;
}

/// <summary>Finds what the assistant wrote in a rendered conversation, so that only that is trained on.</summary>
public static class ChatRendering
{
    /// <summary>
    /// Takes the spans of the template's <c>generation</c> blocks. Without such blocks it renders the conversation up to each answer, once
    /// with the generation prompt in place of the answer and once with the answer: what the second has more, the assistant wrote.
    /// </summary>
    /// <exception cref="ChatTemplateException">The template cannot render the conversation as a whole.</exception>
    public static TrainingRendering RenderForTraining(ChatTemplate template, ChatTemplateInput input)
    {
        var whole = template.Render(input with { AddGenerationPrompt = false });
        if (template.MarksGeneration)
            return new TrainingRendering.Rendered(whole);

        var spans = new List<TextSpan>();
        for (var index = 0; index < input.Messages.Count; index++)
        {
            if (input.Messages[index].Role != ChatMessage.AssistantRole)
                continue;
            if (FindSpan(template, input, index, whole.Text, out var span) is { } fault)
                return new TrainingRendering.Impossible($"Message {index + 1} of {input.Messages.Count}: {fault}");
            spans.Add(span);
        }
        return new TrainingRendering.Rendered(whole with { AssistantSpans = spans });
    }

    /// <returns>Why there is no span; null if there is one.</returns>
    private static string? FindSpan(ChatTemplate template, ChatTemplateInput input, int index, string whole, out TextSpan span)
    {
        span = default;
        string prompt, answered;
        try
        {
            prompt = template.Render(input with { Messages = [.. input.Messages.Take(index)], AddGenerationPrompt = true }).Text;
            answered = template.Render(input with { Messages = [.. input.Messages.Take(index + 1)], AddGenerationPrompt = false }).Text;
        }
        catch (ChatTemplateException exception)
        {
            return $"the template cannot render the conversation up to it ({exception.Message})";
        }
        if (!answered.StartsWith(prompt, StringComparison.Ordinal))
            return "what the template writes before the answer is not its generation prompt";
        if (!whole.StartsWith(answered, StringComparison.Ordinal))
            return "the template renders the answer differently once other messages follow it";
        span = new TextSpan(prompt.Length, EndOfAnswer(answered, input.EosToken) - prompt.Length);
        return span.Length > 0 ? null : "the template leaves the answer out";
    }

    /// <summary>Whitespace between turns belongs to the template, not to the answer that the end-of-sequence token closed.</summary>
    private static int EndOfAnswer(string text, string? eosToken)
    {
        var trimmed = text.AsSpan().TrimEnd();
        return !string.IsNullOrEmpty(eosToken) && trimmed.EndsWith(eosToken) ? trimmed.Length : text.Length;
    }
}
