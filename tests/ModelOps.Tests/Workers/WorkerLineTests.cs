using System.Text.Json;
using Microsoft.Extensions.Logging;
using ModelOps.Server.Workers;
using ModelOps.Workflows;

namespace ModelOps.Tests.Workers;

public sealed class WorkerLineTests
{
    // As the JSON console of the framework writes it.
    private const string Logged =
        """
        {"EventId":4,"LogLevel":"Error","Category":"ModelOps.Worker.Hosting.ActivityService","Message":"activity X failed","Exception":"System.Exception: no\n at A",
        "State":{"Message":"activity X failed","Name":"X","Steps":7,"Done":true,"{OriginalFormat}":"activity {Name} failed"},
        "Scopes":[{"Message":"SpanId:b7ad6b7169203331, TraceId:0af7651916cd43dd8448eb211c80319c","SpanId":"b7ad6b7169203331","TraceId":"0af7651916cd43dd8448eb211c80319c"},"text"]}
        """;

    [Fact]
    public void Read_ALogLine_KeepsLevelLoggerValuesAndTrace()
    {
        var line = WorkerLine.Read(WorkerRole.Training, 42, Logged.ReplaceLineEndings(""));

        Assert.Equal((LogLevel.Error, 4, "ModelOps.Worker.Hosting.ActivityService"), (line.Level, line.EventId.Id, line.Category));
        Assert.Equal("[training 42] activity X failed\nSystem.Exception: no\n at A", line.ToString());
        Assert.Equal("0af7651916cd43dd8448eb211c80319c", line.Trace.TraceId.ToHexString());
        Assert.Equal("b7ad6b7169203331", line.Trace.SpanId.ToHexString());
        Assert.Equal([("role", "training"), ("process_id", 42), ("Name", "X"), ("Steps", 7L), ("Done", true)], line.Select(value => (value.Key, value.Value!)));
    }

    [Theory]
    [InlineData("ggml.c:123: GGML_ASSERT(ok) failed")]
    [InlineData("{\"half\":")]
    [InlineData("{}")]
    [InlineData("[1,2]")]
    [InlineData("3")]
    [InlineData("{\"Message\":3}")]
    public void Read_AnythingElse_IsAWarningAsItIs(string text)
    {
        var line = WorkerLine.Read(WorkerRole.Inference, 7, text);

        Assert.Equal((LogLevel.Warning, text), (line.Level, line.Message));
        Assert.Equal(default, line.Trace);
    }

    /// <summary>Whatever bytes come: the line is its own text, or what the JSON's message says.</summary>
    [Fact]
    public void Read_DamagedLines_NeverThrowsAndLosesNoText()
    {
        var random = new Random(5);
        var whole = Logged.ReplaceLineEndings("");
        for (var round = 0; round < 20_000; round++)
        {
            var text = whole.ToCharArray();
            for (var i = random.Next(4); i >= 0; i--) text[random.Next(text.Length)] = (char)random.Next(1, 128);
            var damaged = new string(text)[..random.Next(1, text.Length + 1)];

            var line = WorkerLine.Read(WorkerRole.Data, 1, damaged);

            Assert.StartsWith(MessageOf(damaged) ?? damaged, line.Message, StringComparison.Ordinal);
        }
    }

    private static string? MessageOf(string text)
    {
        try
        {
            using var document = JsonDocument.Parse(text);
            return document.RootElement is { ValueKind: JsonValueKind.Object } json && json.TryGetProperty("Message", out var message)
                && message.ValueKind == JsonValueKind.String ? message.GetString() : null;
        }
        catch (JsonException)
        {
            return null;
        }
    }
}
