using System.Diagnostics;
using ModelOps.ModelFiles;
using ModelOps.ModelFiles.ChatTemplates;
using ModelOps.ModelFiles.Tokenizers;
using ModelOps.Recipes;
using ModelOps.Training.Data;

namespace ModelOps.Training.Runs;

/// <summary>Conversations to tokens, through the model's own chat template: the text that serving will render.</summary>
internal sealed class ExampleEncoder
{
    private readonly HuggingFaceTokenizer tokenizer;
    private readonly ChatTemplate template;
    private readonly LearnedTokens learned;

    /// <exception cref="TrainingFailedException">The model has no chat template, or a broken one.</exception>
    public ExampleEncoder(ModelFolder folder, LearnedTokens learned)
    {
        this.learned = learned;
        tokenizer = HuggingFaceTokenizer.Load(folder.Path);
        template = Parse(folder);
        StopTokens = tokenizer.EosToken is { } eos && tokenizer.IdOf(eos) is { } id ? [.. folder.EosTokenIds, id] : folder.EosTokenIds;
    }

    public HuggingFaceTokenizer Tokenizer => tokenizer;

    /// <summary>Tokens that end an answer.</summary>
    public IReadOnlyList<int> StopTokens { get; }

    /// <returns>The sequence, or null and why the row cannot be learned from.</returns>
    public TrainingSequence? TryEncode(ChatExample example, out string fault)
    {
        try
        {
            var input = new ChatTemplateInput { Messages = example.Messages, BosToken = tokenizer.BosToken, EosToken = tokenizer.EosToken };
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
    public int[] EncodePrompt(IReadOnlyList<ChatMessage> messages) => tokenizer.Encode(template.Render(
        new ChatTemplateInput { Messages = messages, BosToken = tokenizer.BosToken, EosToken = tokenizer.EosToken, AddGenerationPrompt = true }).Text);

    /// <summary>What an answer says, without special tokens.</summary>
    public string Decode(IReadOnlyList<int> answer) => tokenizer.Decode([.. answer], skipSpecialTokens: true).Trim();

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
            var ids = tokenizer.Encode(text);
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
