using System.Text.Json;
using ModelOps.ModelFiles.ChatTemplates;

namespace ModelOps.Services.Tests.ChatTemplates;

/// <summary>Cases that Jinja 3.1.6 itself rendered, in the environment that transformers gives chat templates.</summary>
public sealed class GoldenTests
{
    private static readonly FixedTime clock = new(new DateTimeOffset(2024, 7, 5, 9, 3, 7, TimeSpan.Zero));

    [Fact]
    public void Render_CasesOfJinja_GivesWhatJinjaGave()
    {
        using var golden = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(TestPaths.Project, "ChatTemplates", "jinja-3.1.6.json")));
        var root = golden.RootElement;
        var input = new ChatTemplateInput
        {
            Messages = [.. root.GetProperty("messages").EnumerateArray().Select(message =>
                new ChatMessage(message.GetProperty("role").GetString()!, message.GetProperty("content").GetString()))],
            ExtraVariables = root.GetProperty("variables").EnumerateObject().ToDictionary(item => item.Name, item => item.Value),
        };
        var cases = root.GetProperty("cases").EnumerateArray().ToList();

        Assert.NotEmpty(cases);
        Assert.All(cases, item =>
        {
            var template = item.GetProperty("template").GetString()!;
            var expected = item.TryGetProperty("text", out var text) ? text.GetString() : null;
            Assert.Equal((template, expected), (template, Rendered(template, input)));
        });
    }

    /// <returns>Null where the engine refuses, as the golden file has no text where Jinja refused.</returns>
    private static string? Rendered(string template, ChatTemplateInput input)
    {
        try
        {
            return ChatTemplate.Parse(template, clock).Render(input).Text;
        }
        catch (ChatTemplateException)
        {
            return null;
        }
    }
}
