using System.Text.Json;
using ModelOps.ModelFiles.ChatTemplates;

namespace ModelOps.Services.Tests.ChatTemplates;

/// <summary>Templates and conversations in the shapes that models use.</summary>
internal static class Chats
{
    private static readonly ChatMessage call = new(ChatMessage.AssistantRole, null)
    {
        ToolCalls = JsonElement.Parse("""
            [{"type": "function", "function": {"name": "weather", "arguments": {"city":"Zürich","days":2,"exact":true}}}]
            """),
    };

    private static readonly JsonElement[] tools =
    [
        JsonElement.Parse("""
            {"type": "function", "function": {"name": "weather", "description": "The \"weather\" of a city.",
            "parameters": {"type": "object", "properties": {"city": {"type": "string"},
            "days": {"type": "integer"}, "exact": {"type": "boolean"}}, "required": ["city"]}}}
            """),
        JsonElement.Parse("""
            {"type": "function", "function": {"name": "Add", "description": "a < b & c", "parameters": {"type": "object",
            "properties": {"numbers": {"type": ["number", "string"]}}, "required": []}}}
            """),
    ];

    public static Dictionary<string, string> Templates { get; } = TemplatesIn(Path.Combine(TestPaths.Project, "ChatTemplates", "templates"));

    public static IReadOnlyList<ChatTemplateInput> Inputs { get; } =
    [
        Input(User("Hi")),
        Input(User("  Hi there \n"), Assistant("Hello! "), User("Bye 'now' \"é日本🦙\"")),
        Input(System(" Be kind. "), User("Hi"), Assistant("Hello!"), User("Bye")),
        Input(System("Be kind."), User("Hi"), Assistant("Hello!")) with { AddGenerationPrompt = false },
        Input(User("1+1?"), Assistant("<think>\nTwo.\n</think>\n\n2"), User("2+2?"), Assistant("<think>Four.</think>4")) with
        {
            AddGenerationPrompt = false,
        },
        Input(User("Weather?"), call, new ChatMessage("tool", "{\"rain\": 1}"), new ChatMessage("tool", "[]"), Assistant("Rain.")) with
        {
            Tools = tools,
        },
        Input(User("Weather?"), Assistant("") with { ToolCalls = Calls("call00001", "weather", """{"city":"Zürich","days":2}""") },
            new ChatMessage("tool", "{\"rain\": 1}") { Name = "weather", ToolCallId = "call00001" }, Assistant("Rain."), User("And in <Bern>?")) with
        {
            Tools = tools,
        },
        Input(System("Use tools."), User("Weather?")) with { Tools = tools },
        Input(System(""), User("Hi"), Assistant(""), User("")),
        Input(System("Sei höflich. \u200B\u00A0"), User("e\u0301 é \u05E9\u05DC\u05D5\u05DD 👩‍👩‍👧\tتم\u2028x ｆｕｌｌ \\n {{ user }} {% if %} <|im_end|>"), Assistant("ﬁ İ ß ΑΣ")) with
        {
            AddGenerationPrompt = false,
        },
        Input([.. Enumerable.Range(1, 10).Select(turn => turn % 2 == 1 ? User($"Question {turn}?") : Assistant($"Answer {turn}."))]),
        Input(User("One"), User("Two")),
        Input(User("Think?")) with { ExtraVariables = new Dictionary<string, JsonElement> { ["thinking"] = JsonElement.Parse("false") } },
        Input(),
    ];

    /// <summary>Without null and without an empty list, which @huggingface/jinja takes for other than Jinja itself does.</summary>
    public static IReadOnlyList<ChatTemplateInput> InputsOfModels { get; } = [.. Inputs.Where(input => input.Messages.Count > 0 && input.Messages.All(message => message.Content is not null))];

    private static JsonElement Calls(string id, string name, string arguments) =>
        JsonElement.Parse($$"""[{"id": "{{id}}", "type": "function", "function": {"name": "{{name}}", "arguments": {{arguments}} } }]""");

    private static Dictionary<string, string> TemplatesIn(string folder) =>
        Directory.GetFiles(folder, "*.jinja").ToDictionary(path => Path.GetFileNameWithoutExtension(path), File.ReadAllText);

    public static ChatMessage System(string content) => new("system", content);

    public static ChatMessage User(string content) => new("user", content);

    public static ChatMessage Assistant(string content) => new(ChatMessage.AssistantRole, content);

    public static ChatTemplateInput Input(params ChatMessage[] messages) =>
        new() { Messages = messages, AddGenerationPrompt = true, BosToken = "<s>", EosToken = "</s>" };
}
