using System.Text.Json;
using ModelOps.ModelFiles.ChatTemplates;

namespace ModelOps.Services.Tests.ChatTemplates;

/// <summary>Whole templates against @huggingface/jinja.</summary>
public sealed class ChatTemplateOracleTests
{
    [Fact]
    public async Task Render_TemplatesLikeThoseOfModels_GivesTheTextOfTheReference()
    {
        var cases = Chats.Templates
            .SelectMany(template => Chats.Inputs.Select(input => (template.Key, Source: template.Value, Input: input)))
            .Concat(Chats.Published.SelectMany(template => Chats.InputsWithText.Select(input => (template.Key, Source: template.Value, Input: input)))).ToList();
        var asked = cases.Select(item => new { template = item.Source, variables = Variables(item.Input) }).ToList();

        var answers = await NodeOracle.AskAsync("render-chats.mjs", asked, TestContext.Current.CancellationToken);

        Assert.Contains(answers.EnumerateArray(), answer => answer.TryGetProperty("error", out _));
        Assert.All(cases.Zip(answers.EnumerateArray()), pair =>
        {
            var (item, answer) = pair;
            var expected = (answer.TryGetProperty("text", out var text) ? text : answer.GetProperty("error")).GetString();
            Assert.Equal((item.Key, expected), (item.Key, Rendered(item.Source, item.Input)));
        });
    }

    private static string Rendered(string template, ChatTemplateInput input)
    {
        try
        {
            return ChatTemplate.Parse(template).Render(input).Text;
        }
        catch (ChatTemplateException exception) when (exception.RaisedByTemplate)
        {
            return exception.Message;
        }
    }

    private static Dictionary<string, object?> Variables(ChatTemplateInput input)
    {
        var variables = new Dictionary<string, object?>
        {
            ["messages"] = input.Messages.Select(Message).ToList(),
            ["tools"] = input.Tools,
            ["add_generation_prompt"] = input.AddGenerationPrompt,
            ["bos_token"] = input.BosToken,
            ["eos_token"] = input.EosToken,
        };
        foreach (var (name, value) in input.ExtraVariables ?? new Dictionary<string, JsonElement>())
            variables[name] = value;
        return variables;
    }

    private static Dictionary<string, object?> Message(ChatMessage message)
    {
        var result = new Dictionary<string, object?> { ["role"] = message.Role, ["content"] = message.Content };
        if (message.ToolCalls is { } calls)
            result["tool_calls"] = calls;
        return result;
    }
}
