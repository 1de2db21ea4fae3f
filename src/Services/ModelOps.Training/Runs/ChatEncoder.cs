using System.Diagnostics;
using ModelOps.ModelFiles;
using ModelOps.ModelFiles.ChatTemplates;
using ModelOps.Recipes;
using ModelOps.Training.Data;
using ModelOps.Training.Evaluations;

namespace ModelOps.Training.Runs;

/// <summary>Conversations to tokens, through the model's own chat template: the text that serving will render.</summary>
internal sealed class ChatEncoder : ExampleEncoder
{
    private readonly ChatTemplate template;
    private readonly LearnedTokens learned;

    /// <exception cref="TrainingFailedException">The model has no chat template, or a broken one.</exception>
    public ChatEncoder(ModelFolder folder, LearnedTokens learned)
        : base(folder)
    {
        this.learned = learned;
        template = Parse(folder);
    }

    public override string Verb => "is answered";

    public override TrainingSequence? TryEncode(TrainingExample example, out string fault)
    {
        if (example is not ChatExample conversation)
        {
            fault = "it is a text, and this method learns from conversations";
            return null;
        }
        try
        {
            var input = new ChatTemplateInput { Messages = conversation.Messages, BosToken = Tokenizer.BosToken, EosToken = Tokenizer.EosToken };
            switch (ChatRendering.RenderForTraining(template, input))
            {
                case TrainingRendering.Rendered rendered:
                    var sequence = Tokenize(rendered.Chat);
                    fault = "the assistant says nothing in it";
                    return sequence.LearnedCount > 0 ? sequence : null;
                case TrainingRendering.Impossible impossible:
                    fault = impossible.Reason;
                    return null;
                default:
                    throw new UnreachableException();
            }
        }
        catch (ChatTemplateException refusal)
        {
            fault = $"the chat template refuses it ({refusal.Message})";
            return null;
        }
    }

    /// <summary>What the model reads before it answers.</summary>
    /// <exception cref="ChatTemplateException">The chat template refuses the conversation.</exception>
    public int[] EncodePrompt(IReadOnlyList<ChatMessage> messages) => Tokenizer.Encode(template.Render(
        new ChatTemplateInput { Messages = messages, BosToken = Tokenizer.BosToken, EosToken = Tokenizer.EosToken, AddGenerationPrompt = true }).Text);

    public override (string Shown, int[] Tokens)? PromptOf(TrainingExample example)
    {
        if (example is not ChatExample conversation || EvaluationExample.OfConversation("", conversation.Messages) is not { Prompt: { Count: > 0 } messages }) return null;
        try
        {
            return (messages[^1].Content ?? "", EncodePrompt(messages));
        }
        catch (ChatTemplateException)
        {
            return null; // such a row is not trained or measured on either
        }
    }

    /// <summary>Cut: what is left out was said after what is learned.</summary>
    public override EncodedRows Fit(EncodedRows rows, int length) => rows.Fit(length);

    /// <summary>Cuts where the assistant starts and stops: a prompt that is served ends exactly there, and no token reaches across.</summary>
    private TrainingSequence Tokenize(RenderedChat chat)
    {
        List<int> tokens = [];
        List<bool> marks = [];
        var at = 0;
        foreach (var span in chat.AssistantSpans)
        {
            Append(chat.Text[at..span.Start], isLearned: false);
            Append(chat.Text[span.Start..span.End], isLearned: true);
            at = span.End;
        }
        Append(chat.Text[at..], isLearned: false);
        return new([.. tokens], [.. marks]);

        void Append(string text, bool isLearned)
        {
            var ids = Tokenizer.Encode(text);
            tokens.AddRange(ids);
            marks.AddRange(Enumerable.Repeat(isLearned || learned == LearnedTokens.All, ids.Length));
        }
    }

    private static ChatTemplate Parse(ModelFolder folder)
    {
        var source = folder.ChatTemplate ?? throw new TrainingFailedException(
            TrainingFailure.InvalidRecipe,
            $"{folder.Path} has no chat template: add {ModelFolder.ChatTemplateFile}, or fine-tune a model that has one.");
        try
        {
            return ChatTemplate.Parse(source);
        }
        catch (ChatTemplateException exception)
        {
            throw new TrainingFailedException(
                TrainingFailure.InvalidRecipe, $"the chat template of {folder.Path} cannot be used: {exception.Message}", exception);
        }
    }
}
