using System.Text;
using System.Text.Json;
using ModelOps.ModelFiles.ChatTemplates;
using ModelOps.ModelFiles.ChatTemplates.ToolCalls;

namespace ModelOps.Services.Tests.ChatTemplates;

public sealed class AnswerParserTests
{
    private static readonly HashSet<string> tools = new(StringComparer.Ordinal) { "weather", "add" };

    /// <summary>Style, answer, and what it is: thoughts in T(), text in quotes, calls as name{arguments}.</summary>
    public static TheoryData<ToolCallStyle?, string, string> Answers => new()
    {
        { null, "Hello <tool_call> {}", "\"Hello <tool_call> {}\"" },
        { null, "<think>\nTwo\n and two.\n</think>\n\nFour.", "T(Two\n and two.) \"Four.\"" },
        { null, "<think></think>Four", "\"Four\"" },
        { null, " <thin ice", "\" <thin ice\"" },
        { null, "<think>cut </thi", "T(cut </thi)" },
        { null, "It is <think>quoted</think>", "\"It is <think>quoted</think>\"" },
        { ToolCallStyle.Hermes, "<tool_call>\n{\"name\": \"weather\", \"arguments\": {\"city\": \"Zürich 🦙\"}}\n</tool_call>", "weather{\"city\": \"Zürich 🦙\"}" },
        { ToolCallStyle.Hermes, "<think>Which?</think>\nI look.\n<tool_call>{\"name\":\"add\",\"arguments\":{}}</tool_call>", "T(Which?) \"I look.\n\" add{}" },
        {
            ToolCallStyle.Hermes,
            "<tool_call>\n{\"name\": \"add\", \"arguments\": {\"a\": [1, -2.5e3, {\"b\": null}]}}\n</tool_call>\n<tool_call>{\"arguments\": {\"c\": \"}\\\"\"}, \"name\": \"weather\"}</tool_call>",
            "add{\"a\": [1, -2.5e3, {\"b\": null}]} weather{\"c\": \"}\\\"\"}"
        },
        { ToolCallStyle.Hermes, "<tool_call>{\"name\": \"add\"}</tool_call> Done.", "add{} \" Done.\"" },
        { ToolCallStyle.Hermes, "<tool_call>{\"name\": \"add\", \"arguments\": \"{\\\"a\\\": 1}\"}</tool_call>", "add{\"a\": 1}" },
        { ToolCallStyle.Hermes, "<tool_call>{\"name\": \"add\", \"arguments\": null}", "add{}" },
        { ToolCallStyle.Hermes, "<tool_call>{\"name\": \"nobody\", \"arguments\": {}}</tool_call>", "\"<tool_call>{\"name\": \"nobody\", \"arguments\": {}}</tool_call>\"" },
        { ToolCallStyle.Hermes, "<tool_call>{'name': 'add'}</tool_call>", "\"<tool_call>{'name': 'add'}</tool_call>\"" },
        { ToolCallStyle.Hermes, "<tool_call>{\"name\": <tool_call>{\"name\": \"add\", \"arguments\": {}}", "\"<tool_call>{\"name\": \" add{}" },
        { ToolCallStyle.Hermes, "<tool_call>{\"name\": \"add\", \"arguments\": {\"a\": 1", "add{\"a\": 1" },
        { ToolCallStyle.Hermes, "<tool_call>{\"name\": \"add\", \"arguments\": {\"a\": oops}}</tool_call>", "add{\"a\":  \"oops}}</tool_call>\"" },
        { ToolCallStyle.Hermes, "<tool_call>{\"name\": \"add\"", "\"<tool_call>{\"name\": \"add\"\"" },
        { ToolCallStyle.Hermes, "<tool_call>{\"name\": \"\\ud800\", \"arguments\": {}}", "\"<tool_call>{\"name\": \"\\ud800\", \"arguments\": {}}\"" },
        { ToolCallStyle.Hermes, "a <tool_ b < c <tool_call", "\"a <tool_ b < c <tool_call\"" },
        { ToolCallStyle.Llama, "{\"name\": \"weather\", \"parameters\": {\"city\": \"Bern\"}}", "weather{\"city\": \"Bern\"}" },
        { ToolCallStyle.Llama, "<|python_tag|>{\"name\": \"add\", \"parameters\": {\"a\": 1}}; {\"name\": \"add\", \"parameters\": {}}", "add{\"a\": 1} add{}" },
        { ToolCallStyle.Llama, "{\"type\": \"function\", \"name\": \"add\", \"parameters\": {\"a\": \"1\"}}\n", "add{\"a\": \"1\"}" },
        { ToolCallStyle.Llama, "{\"answer\": 42}", "\"{\"answer\": 42}\"" },
        { ToolCallStyle.Llama, "See {\"name\": \"add\", \"parameters\": {}}", "\"See {\"name\": \"add\", \"parameters\": {}}\"" },
        { ToolCallStyle.Llama, "<|python_tag|>print(1)", "\"<|python_tag|>print(1)\"" },
        { ToolCallStyle.Mistral, "[TOOL_CALLS] [{\"name\": \"add\", \"arguments\": {\"a\": 1}}, {\"name\": \"weather\", \"arguments\": {}}]", "add{\"a\": 1} weather{}" },
        { ToolCallStyle.Mistral, "[TOOL_CALLS]add[ARGS]{\"a\": 1}[TOOL_CALLS]weather[CALL_ID]x1[ARGS]{}", "add{\"a\": 1} weather{}" },
        { ToolCallStyle.Mistral, "[TOOL_CALLS]nobody[ARGS]{\"a\": 1}", "\"[TOOL_CALLS]nobody[ARGS]{\"a\": 1}\"" },
        { ToolCallStyle.Mistral, "[TOOL_CALLS][{\"name\": \"add\", \"arguments\": {}}, 5]", "add{} \", 5]\"" },
        { ToolCallStyle.Functionary, "<function=weather>{\"city\": \"Bern\"}</function><function=add>{}</function>", "weather{\"city\": \"Bern\"} add{}" },
        { ToolCallStyle.Functionary, "<function=weather>city</function>", "\"<function=weather>city</function>\"" },
    };

    [Theory]
    [MemberData(nameof(Answers))]
    public void Append_AnAnswer_IsTakenApart(ToolCallStyle? style, string answer, string expected) =>
        Assert.Equal(expected, Show(Parse(style, [answer])));

    [Fact]
    public void Append_HoweverTheAnswerIsCut_GivesTheSame()
    {
        var random = new Random(20_261_126);
        foreach (var row in Answers)
        {
            var (style, answer, expected) = row.Data;
            for (var cuts = 0; cuts < 60; cuts++)
                Assert.Equal(expected, Show(Parse(style, Cut(answer, random))));
            Assert.Equal(expected, Show(Parse(style, [.. answer.Select(letter => $"{letter}")])));
        }
    }

    /// <summary>Text that looks like calls but is garbage: no character is lost, whatever the style.</summary>
    [Fact]
    public void Append_Garbage_LosesNothingAndCutsChangeNothing()
    {
        var random = new Random(7);
        string[] scraps =
        [
            "<tool_call>", "</tool_call>", "[TOOL_CALLS]", "<|python_tag|>", "<function=", "<function=add>", "</function>", "{\"name\": \"add\"", "\"arguments\": {", "}", "]", "[",
            ", ", "\"", "\\", "\"parameters\": ", " ", "\n", "text", "1e", "<think>", "</think>", ";", "🦙",
        ];
        foreach (var style in Enum.GetValues<ToolCallStyle>())
        {
            for (var round = 0; round < 300; round++)
            {
                var answer = string.Concat(Enumerable.Range(0, random.Next(1, 12)).Select(_ => scraps[random.Next(scraps.Length)]));
                var whole = Parse(style, [answer]);
                Assert.Equal(Show(whole), Show(Parse(style, Cut(answer, random))));
                if (!whole.Any(part => part is AnswerPart.Call or AnswerPart.Reasoning) && !answer.Contains("<think>", StringComparison.Ordinal))
                    Assert.Equal(answer, string.Concat(whole.Cast<AnswerPart.Content>().Select(part => part.Text)));
            }
        }
    }

    [Fact]
    public void Append_ArgumentsInPieces_LetsThemGoAsTheyCome()
    {
        var parser = new AnswerParser(ToolCallStyle.Hermes, tools, reasoning: false);
        Assert.Empty(parser.Append("<tool_call>{\"name\": \"add\", "));
        Assert.Equal([new AnswerPart.Call(0, "add"), new AnswerPart.Arguments(0, "{\"a\"")], parser.Append("\"arguments\": {\"a\""));
        Assert.Equal([new AnswerPart.Arguments(0, ": 1}")], parser.Append(": 1}}"));
        Assert.Empty(parser.Append("</tool_call>"));
        Assert.Empty(parser.End());
        Assert.True(parser.HasCalls);
    }

    [Fact]
    public void Append_WhenThePromptOpenedTheThoughts_BeginsWithinThem()
    {
        var parser = new AnswerParser(style: null, new HashSet<string>(), reasoning: true, promptOpensReasoning: true);
        Assert.Equal("T(So.) \"Yes\"", Show([.. parser.Append("\nSo.\n</think>\n\nYes"), .. parser.End()]));
    }

    [Fact]
    public void Append_WithoutTools_TakesCallsForText() =>
        Assert.Equal("\"<tool_call>{}\"", Show([.. new AnswerParser(ToolCallStyle.Hermes, new HashSet<string>(), reasoning: true).Append("<tool_call>{}")]));

    [Fact]
    public void JsonScanner_AgainstTheFrameworksReader_AcceptsTheSame()
    {
        var random = new Random(3);
        string[] scraps = ["{", "}", "[", "]", ":", ",", "\"a\"", "\"\\u00e9\\n\"", "\"\\x\"", "1", "-0.5e+3", "01", "1.", "true", "nul", "null", " ", "\"\t\""];
        var accepted = 0;
        for (var round = 0; round < 20_000; round++)
        {
            var text = "[" + string.Concat(Enumerable.Range(0, random.Next(6)).Select(_ => scraps[random.Next(scraps.Length)])) + "]";
            var scanner = new JsonScanner();
            var valid = text.All(scanner.Accept) && scanner.IsComplete;
            Assert.Equal((text, IsJson(text)), (text, valid));
            if (valid) accepted++;
        }
        Assert.True(accepted > 1000, $"{accepted} texts were JSON");
    }

    [Theory]
    [InlineData("{% if tools %}<tool_call>{% endif %}<think></think>", ToolCallStyle.Hermes, true)]
    [InlineData("{% for tool in tools %}{% endfor %}<|python_tag|>", ToolCallStyle.Llama, false)]
    [InlineData("{% if tools %}[AVAILABLE_TOOLS]{% endif %}[TOOL_CALLS]", ToolCallStyle.Mistral, false)]
    [InlineData("{% if tools %}<function={% endif %}", ToolCallStyle.Functionary, false)]
    [InlineData("{% for message in messages %}{% endfor %}", null, false)]
    public void AnswerStyle_OfATemplate_IsFoundInItsText(string template, ToolCallStyle? calls, bool reasons)
    {
        var style = AnswerStyle.Of(template);
        Assert.Equal((calls, reasons), (style.ToolCalls, style.MarksReasoning));
    }

    [Fact]
    public void ToolPrompt_ForATemplateWithoutTools_TellsOfThemAndOfPastCallsAsText()
    {
        var tool = JsonElement.Parse("""{"type": "function", "function": {"name": "add"}}""");
        var calls = JsonElement.Parse("""[{"id": "1", "type": "function", "function": {"name": "add", "arguments": "{\"a\": 1}"}}]""");
        var told = ToolPrompt.Apply(Chats.Input(
            Chats.System("Be kind."), Chats.User("1+1?"), new ChatMessage("assistant", null) { ToolCalls = calls }, new ChatMessage("tool", "2") { ToolCallId = "1" }) with
        {
            Tools = [tool],
        });
        Assert.Null(told.Tools);
        Assert.Equal(["system", "user", "assistant", "user"], told.Messages.Select(message => message.Role));
        Assert.StartsWith("Be kind.\n\nYou may call", told.Messages[0].Content, StringComparison.Ordinal);
        Assert.Contains(tool.GetRawText(), told.Messages[0].Content, StringComparison.Ordinal);
        Assert.Equal("add{\"a\": 1}", Show(Parse(ToolCallStyle.Hermes, [told.Messages[2].Content!]))); // as it asks for calls
        Assert.Equal("<tool_response>\n2\n</tool_response>", told.Messages[3].Content);
        Assert.Equal(["user"], ToolPrompt.Apply(Chats.Input(Chats.User("Hi"))).Messages.Select(message => message.Role));
    }

    private static List<AnswerPart> Parse(ToolCallStyle? style, IReadOnlyList<string> pieces)
    {
        var parser = new AnswerParser(style, tools, reasoning: true);
        return [.. pieces.SelectMany(parser.Append), .. parser.End()];
    }

    private static List<string> Cut(string text, Random random)
    {
        var pieces = new List<string>();
        for (var start = 0; start < text.Length;)
        {
            var length = Math.Min(random.Next(1, 9), text.Length - start);
            pieces.Add(text.Substring(start, length));
            start += length;
        }
        return pieces;
    }

    private static string Show(IReadOnlyList<AnswerPart> parts)
    {
        var shown = new StringBuilder();
        AnswerPart? before = null;
        foreach (var part in parts)
        {
            if (part.GetType() != before?.GetType())
            {
                if (before is AnswerPart.Content) shown.Append('"');
                if (before is AnswerPart.Reasoning) shown.Append(')');
                if (before is not (null or AnswerPart.Call)) shown.Append(' ');
                shown.Append(part switch { AnswerPart.Content => "\"", AnswerPart.Reasoning => "T(", _ => "" });
            }
            shown.Append(part switch
            {
                AnswerPart.Content text => text.Text,
                AnswerPart.Reasoning thought => thought.Text,
                AnswerPart.Call call => call.Name,
                AnswerPart.Arguments arguments => arguments.Json,
                _ => throw new InvalidOperationException($"{part}"),
            });
            before = part;
        }
        return shown.Append(before switch { AnswerPart.Content => "\"", AnswerPart.Reasoning => ")", _ => "" }).ToString();
    }

    private static bool IsJson(string text)
    {
        try
        {
            using var document = JsonDocument.Parse(text);
            return true;
        }
        catch (JsonException)
        {
            return false;
        }
    }
}
