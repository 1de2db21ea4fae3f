using ModelOps.ModelFiles.ChatTemplates;

namespace ModelOps.Services.Tests.ChatTemplates;

public sealed class ChatRenderingTests
{
    private static readonly ChatTemplateInput conversation = Chats.Input(
        Chats.System("Be kind."), Chats.User("Hi"), Chats.Assistant("Hello!"), Chats.User("Bye"), Chats.Assistant("See you.")) with
    {
        EosToken = "<|im_end|>",
    };

    [Theory]
    [InlineData("marked")]
    [InlineData("chatml")]
    public void RenderForTraining_WithOrWithoutGenerationBlocks_FindsWhatTheAssistantWrote(string name)
    {
        var template = ChatTemplate.Parse(Chats.Templates[name]);

        var rendering = ChatRendering.RenderForTraining(template, conversation);

        var chat = Assert.IsType<TrainingRendering.Rendered>(rendering).Chat;
        Assert.Equal(
            ["Hello!<|im_end|>", "See you.<|im_end|>"], chat.AssistantSpans.Select(span => chat.Text.Substring(span.Start, span.Length)));
        Assert.Equal(name == "marked", template.MarksGeneration);
    }

    [Theory]
    [InlineData("{% for m in messages %}[{{ m.role }}]{% endfor %}{{ '[bot]' if add_generation_prompt }}", "not its generation prompt")]
    [InlineData("{% for m in messages %}[{{ m.content if loop.last or m.role != 'assistant' }}]{% endfor %}", "once other messages follow")]
    [InlineData("{% for m in messages if m.role != 'assistant' %}{{ m.content }}{% endfor %}", "leaves the answer out")]
    [InlineData("{% if messages | length < 5 %}{{ raise_exception('Too short') }}{% endif %}", "Too short")]
    public void RenderForTraining_AnswersThatCannotBeToldApart_SaysWhy(string source, string reason)
    {
        var rendering = ChatRendering.RenderForTraining(ChatTemplate.Parse(source), conversation);

        var impossible = Assert.IsType<TrainingRendering.Impossible>(rendering);
        Assert.StartsWith("Message 3 of 5: ", impossible.Reason);
        Assert.Contains(reason, impossible.Reason);
    }

    [Fact]
    public void RenderForTraining_ConversationThatTheTemplateRefuses_Throws()
    {
        var template = ChatTemplate.Parse(Chats.Templates["pairs"]);
        var refused = Chats.Input(Chats.User("One"), Chats.User("Two"));

        var exception = Assert.Throws<ChatTemplateException>(() => ChatRendering.RenderForTraining(template, refused));

        Assert.Equal("Turn 2 is of the user, not of the assistant", exception.Message);
    }
}
