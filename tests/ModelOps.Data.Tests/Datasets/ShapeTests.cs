using ModelOps.Tables.Datasets;

namespace ModelOps.Data.Tests.Datasets;

public sealed class ShapeTests : IDisposable
{
    private readonly TestIngestion ingestion = new();

    public void Dispose() => ingestion.Dispose();

    public static TheoryData<string, string, string, string[]> Shapes => new()
    {
        { "chat", "sft", TestIngestion.Chat, ["user: hi", "assistant: hello"] },
        {
            "chat", "sft",
            """{"messages":[{"role":"developer","content":"s"},{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]},{"role":"assistant","content":"c"}]}""",
            ["system: s", "user: ab", "assistant: c"]
        },
        {
            "chat", "sft",
            """{"tools":[{"name":"f"}],"messages":[{"role":"user","content":"q"},{"role":"assistant","content":null,"tool_calls":[{"id":"1","type":"function","function":{"name":"f","arguments":"{\"x\":1}"}}]},{"role":"tool","content":"42","tool_call_id":"1"},{"role":"assistant","content":"a"}]}""",
            [
                "user: q", """assistant:  [{"id":"1","type":"function","function":{"name":"f","arguments":"{\"x\":1}"}}]""", "tool: 42 for 1", "assistant: a",
                """tools [{"name":"f"}]""",
            ]
        },
        { "alpaca", "sft", """{"instruction":"i","input":"","output":"o"}""", ["user: i", "assistant: o"] },
        {
            "alpaca", "sft", """{"instruction":"i","input":"n","output":"o","system":"s","history":[["u1","a1"]]}""",
            ["system: s", "user: u1", "assistant: a1", "user: i\nn", "assistant: o"]
        },
        {
            "sharegpt", "sft",
            """{"system":"s","conversations":[{"from":"human","value":"q"},{"from":"function_call","value":"{\"name\":\"f\",\"arguments\":{\"x\":\"é\"}}"},{"from":"observation","value":"r"},{"from":"gpt","value":"a"}],"tools":"[{\"name\":\"f\"}]"}""",
            [
                "system: s", "user: q", """assistant:  [{"type":"function","function":{"name":"f","arguments":{"x":"é"}}}]""", "tool: r", "assistant: a",
                """tools [{"name":"f"}]""",
            ]
        },
        { "prompt-completion", "sft", """{"prompt":"p","completion":"c"}""", ["user: p", "assistant: c"] },
        { "question-answer", "sft", """{"question":"q","answer":"a","id":7}""", ["user: q", "assistant: a"] },
        { "text", "text", """{"text":"once"}""", ["text: once"] },
        { "preference", "preference", """{"prompt":"p","chosen":"c","rejected":"r"}""", ["user: p", "| assistant: c", "| assistant: r"] },
        {
            "preference", "preference", """{"system":"s","question":"p","chosen":"c","rejected":"r"}""",
            ["system: s", "user: p", "| assistant: c", "| assistant: r"]
        },
        {
            "preference", "preference",
            """{"prompt":"p","chosen":[{"role":"user","content":"p"},{"role":"assistant","content":"c"}],"rejected":[{"role":"user","content":"p"},{"role":"assistant","content":"r"}]}""",
            ["user: p", "| assistant: c", "| assistant: r"]
        },
        {
            "preference", "preference",
            """{"conversations":[{"from":"human","value":"p"}],"chosen":{"from":"gpt","value":"c"},"rejected":{"from":"gpt","value":"r"}}""",
            ["user: p", "| assistant: c", "| assistant: r"]
        },
        { "kto", "kto", """{"prompt":"p","completion":"c","label":true}""", ["user: p", "| assistant: c", "label True"] },
        {
            "kto", "kto", """{"messages":[{"role":"user","content":"p"},{"role":"assistant","content":"c"}],"kto_tag":false}""",
            ["user: p", "| assistant: c", "label False"]
        },
        { "chat", "sft", $$"""{"label":"greeting",{{TestIngestion.Chat[1..]}}""", ["user: hi", "assistant: hello"] },
    };

    [Theory]
    [MemberData(nameof(Shapes))]
    public async Task Run_EachShape_ReadsItsRow(string shape, string task, string row, string[] content)
    {
        var ingested = await ingestion.IngestAsync(row);
        Assert.Equal((shape, task), (ingested.Report.Source.Shape, ingested.Report.Task));
        Assert.StartsWith("line 1 has ", ingested.Report.Source.ShapeReason, StringComparison.Ordinal);
        var read = Assert.Single(await ingestion.RowsAsync(ingested));
        Assert.Equal((task, 1), (read.Task.Name, read.SourceLine));
        Assert.Equal(content, Describe(read.Content));
    }

    [Theory]
    [InlineData("""{"messages":[{"role":"user","content":""},{"role":"assistant","content":"a"}]}""", "a message has no content (messages 1)")]
    [InlineData("""{"messages":[{"role":"user","content":"q"},{"role":"assistant"}]}""", "a message has no content (messages 2)")]
    [InlineData("""{"messages":[{"role":"wizard","content":"q"}]}""", "a role is not known (messages 1: 'wizard')")]
    [InlineData("""{"messages":[{"content":"q"}]}""", "has no role (messages 1)")]
    [InlineData("""{"messages":["q"]}""", "a message is no object (messages 1 is text)")]
    [InlineData("""{"messages":{}}""", "messages is an object, not an array")]
    [InlineData("""{"messages":[{"role":"user","content":"q"}]}""", "has nothing that the assistant says")]
    [InlineData("""{"messages":[{"role":"user","content":[{"type":"image_url"}]}]}""", "a message has a part that is no text (messages 1)")]
    [InlineData("""{"messages":[{"role":"assistant","tool_calls":[{}]}]}""", "tool_calls has a call without a function (messages 1)")]
    [InlineData("""{"conversations":[{"from":"narrator","value":"v"}]}""", "a from is not known (conversations 1: 'narrator')")]
    [InlineData("""{"conversations":[{"from":"human","value":7}]}""", "value is a number, not text (conversations 1)")]
    [InlineData("""{"conversations":[{"from":"function_call","value":"f(x)"}]}""", "a function_call is no JSON with a name and arguments (conversations 1)")]
    [InlineData("""{"instruction":"i","output":"o","history":[["u"]]}""", "history has a turn that is no pair of texts")]
    [InlineData("""{"instruction":" ","output":"o"}""", "instruction is empty")]
    [InlineData("""{"prompt":"p","completion":"a\u0000b"}""", "text with a NUL character")]
    [InlineData("""{"prompt":"p","completion":"a","completion":"b"}""", "has a key twice ('completion')")]
    [InlineData("""{"messages":[{"role":"assistant","content":"a","x":{"k":1,"k":2}}]}""", "has a key twice ('k')")]
    [InlineData("""{"conversations":[{"from":"gpt","value":"a"}],"tools":"[{\"k\":1,\"k\":2}]"}""", "tools is text, not an array")]
    [InlineData("""{"chosen":"c","rejected":"r"}""", "has no prompt")]
    [InlineData("""{"prompt":"p","chosen":"c","rejected":"c"}""", "chosen and rejected are the same")]
    [InlineData("""{"prompt":"p","chosen":[{"role":"user","content":"x"}],"rejected":"c"}""", "chosen does not end with what the assistant says")]
    [InlineData("""{"messages":[{"role":"assistant","content":"c"}],"label":true}""", "has no prompt")]
    public async Task Run_BadRow_IsRejectedWithTheReason(string row, string reason) => await ingestion.AssertRejectedAsync(row, $"line 1: {reason}");

    [Fact]
    public async Task Run_OwnNames_AreMapped()
    {
        var options = new IngestionOptions { Map = new Dictionary<string, string> { ["ask"] = "prompt", ["reply"] = "completion" } };
        var ingested = await ingestion.IngestAsync("""{"ask":"p","reply":"c","prompt":"not this"}""", options);
        Assert.Equal(["user: p", "assistant: c"], Describe(Assert.Single(await ingestion.RowsAsync(ingested)).Content));
    }

    [Fact]
    public async Task Run_StatedShape_IsTakenThoughTheFirstRowFitsAnother()
    {
        var row = """{"prompt":"p","completion":"c","text":"t"}""";
        var ingested = await ingestion.IngestAsync(row, new() { Shape = "text" });
        Assert.Equal(("text", "stated"), (ingested.Report.Source.Shape, ingested.Report.Source.ShapeReason));
        Assert.Equal(["text: t"], Describe(Assert.Single(await ingestion.RowsAsync(ingested)).Content));
    }

    [Fact]
    public async Task Run_AnotherTaskUnderTheSameName_IsRejected()
    {
        await ingestion.IngestAsync(TestIngestion.Chat);
        var rejected = Assert.IsType<IngestionOutcome.Rejected>(await ingestion.RunAsync(TestIngestion.Utf8("""{"text":"t"}""")));
        Assert.Contains("choose another name", Assert.Single(rejected.Errors), StringComparison.Ordinal);
    }

    private static IEnumerable<string> Describe(RowContent content)
    {
        foreach (var (part, messages) in content.Parts.Index())
            foreach (var (index, message) in messages.Index())
            {
                var calls = message.ToolCalls is null ? "" : $" {message.ToolCalls}";
                var answered = message.ToolCallId is null ? "" : $" for {message.ToolCallId}";
                yield return $"{(part > 0 && index == 0 ? "| " : "")}{message.Role}: {message.Content}{calls}{answered}";
            }
        if (content.Tools is { } tools) yield return $"tools {tools}";
        if (content.Label is { } label) yield return $"label {label}";
    }
}
