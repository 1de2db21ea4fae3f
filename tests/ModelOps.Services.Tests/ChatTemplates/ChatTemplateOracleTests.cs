using System.Globalization;
using System.Text.Json;
using ModelOps.ModelFiles.ChatTemplates;

namespace ModelOps.Services.Tests.ChatTemplates;

/// <summary>Whole templates against @huggingface/jinja: those of the tests, and those of 95 published models that @huggingface/ollama-utils carries.</summary>
public sealed class ChatTemplateOracleTests
{
    private const string Faulty = "failure";
    private static readonly DateTimeOffset now = new(2024, 7, 5, 9, 3, 7, TimeSpan.Zero);

    /// <summary>What the reference cannot render, of all chats or some: it knows no filter <c>reject</c>, adds nothing undefined, and takes a text for no list.</summary>
    private static readonly string[] beyondReference =
        ["firefunction-v2:70b", "gemma3:1b", "llama-guard3:1b", "llama3.2-vision:90b", "llama3.2-vision:latest", "qwen3-coder:30b", "shieldgemma:27b"];

    /// <summary>They ask whether a text is false. To the reference an empty one is, to Jinja (and GoldenTests) it is not.</summary>
    private static readonly string[] comparesTextWithFalse = ["aya-expanse:8b", "aya:35b", "command-r-plus:104b", "command-r:35b", "dbrx:132b", "llama2:7b"];

    [Fact]
    public async Task Render_TemplatesOfModels_GivesTheTextOfTheReference()
    {
        var question = new
        {
            now = now.ToString("O", CultureInfo.InvariantCulture),
            templates = Chats.Templates.Select(template => new { name = template.Key, source = template.Value }),
            chats = Chats.Inputs.Select(Variables),
            publishedChats = Chats.InputsOfModels.Select(Variables),
        };

        var templates = await NodeOracle.AskAsync("render-chats.mjs", question, TestContext.Current.CancellationToken);

        var renderings = templates.EnumerateArray().SelectMany(Compare).ToList();
        var faults = renderings.Where(rendering => rendering.Expected.Kind == Faulty).ToList();
        Assert.Equal(beyondReference, faults.Select(rendering => rendering.Template).Distinct());
        Assert.All(renderings.Except(faults), rendering =>
        {
            if (rendering.Chat.Messages is [{ Role: "system", Content: "" }, ..] && comparesTextWithFalse.Contains(rendering.Template))
                Assert.NotEqual(rendering.Expected, rendering.Actual);
            else
                Assert.Equal((rendering.Template, rendering.Expected), (rendering.Template, rendering.Actual));
        });
        Assert.Contains(renderings, rendering => rendering.Expected.Kind == "refusal");
        Assert.InRange(renderings.Count - faults.Count, 1100, int.MaxValue);
    }

    private static IEnumerable<(string Template, ChatTemplateInput Chat, (string Kind, string Text) Expected, (string Kind, string Text) Actual)> Compare(JsonElement template)
    {
        var compiled = ChatTemplate.Parse(template.GetProperty("source").GetString()!, new FixedTime(now));
        var chats = template.GetProperty("published").GetBoolean() ? Chats.InputsOfModels : Chats.Inputs;
        return chats.Zip(
            template.GetProperty("answers").EnumerateArray(),
            (chat, answer) => (template.GetProperty("name").GetString()!, chat, Only(answer), Rendered(compiled, chat)));
    }

    private static (string Kind, string Text) Only(JsonElement answer) => answer.EnumerateObject().Select(property => (property.Name, property.Value.GetString()!)).Single();

    private static (string Kind, string Text) Rendered(ChatTemplate template, ChatTemplateInput chat)
    {
        try
        {
            return ("text", template.Render(chat).Text);
        }
        catch (ChatTemplateException exception)
        {
            return (exception.RaisedByTemplate ? "refusal" : Faulty, exception.Message);
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
        if (message.ToolCalls is { } calls) result["tool_calls"] = calls;
        if (message.Name is { } name) result["name"] = name;
        if (message.ToolCallId is { } id) result["tool_call_id"] = id;
        return result;
    }
}
