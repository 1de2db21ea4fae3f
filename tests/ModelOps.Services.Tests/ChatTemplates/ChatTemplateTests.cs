using System.Text.Json;
using ModelOps.ModelFiles.ChatTemplates;

namespace ModelOps.Services.Tests.ChatTemplates;

public sealed class ChatTemplateTests
{
    private static readonly TimeSpan timeout = TimeSpan.FromMinutes(2);

    [Fact]
    public void Render_RaiseException_KeepsTheMessageAndThePlace()
    {
        var template = ChatTemplate.Parse("a\n\n  {{ raise_exception('Roles: ' ~ messages | length) }}");

        var exception = Assert.Throws<ChatTemplateException>(() => template.Render(Chats.Input(Chats.User("Hi"))));

        Assert.Equal(("Roles: 1", true), (exception.Message, exception.RaisedByTemplate));
        Assert.Equal((3, 21), (exception.Line, exception.Column));
    }

    [Theory]
    [InlineData("{{ 1 }}\n{{ missing.name }}", 2, "'missing' is undefined")]
    [InlineData("{{ 1 +\n\n messages }}", 1, "'int' and 'list'")]
    public void Render_Fault_NamesThePlace(string source, int line, string message)
    {
        var exception = Assert.Throws<ChatTemplateException>(() => ChatTemplate.Parse(source).Render(Chats.Input()));

        Assert.Equal((line, false), (exception.Line, exception.RaisedByTemplate));
        Assert.Contains(message, exception.Message);
        Assert.Contains($"line {line}, column {exception.Column}", exception.Message);
    }

    [Theory]
    [InlineData("{% if x %}", 1, "endif")]
    [InlineData("a\n{{ x", 2, "never closed")]
    [InlineData("a\n\n{% frobnicate %}", 3, "frobnicate")]
    [InlineData("{{ x | frobnicate }}", 1, "frobnicate")]
    [InlineData("{{ x is frobnicated }}", 1, "frobnicated")]
    [InlineData("{% break %}", 1, "outside of a loop")]
    [InlineData("{{ 99999999999999999999 }}", 1, "too large")]
    public void Parse_InvalidTemplate_NamesThePlace(string source, int line, string message)
    {
        var exception = Assert.Throws<ChatTemplateException>(() => ChatTemplate.Parse(source));

        Assert.Equal(line, exception.Line);
        Assert.Contains(message, exception.Message);
    }

    public static TheoryData<string> HostileTemplates { get; } = new(
        "{% for i in range(10**9) %}x{% endfor %}",
        "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
        "{% set n = namespace(s='x') %}{% for i in range(99) %}{% set n.s = n.s + n.s %}{% endfor %}",
        "{% set n = namespace(s='x') %}{% for i in range(99) %}{% set n.s = n.s ~ n.s %}{% endfor %}",
        "{% set n = namespace(s='xx') %}{% for i in range(99) %}{% set n.s = n.s.replace('x', n.s) %}{% endfor %}",
        "{% set n = namespace(l=[1]) %}{% for i in range(99) %}{% set n.l = n.l + n.l %}{% endfor %}",
        // Lists that hold one list twice: small, but endless once written, compared or hashed.
        "{% set n = namespace(l=[1]) %}{% for i in range(99) %}{% set n.l = [n.l, n.l] %}{% endfor %}{{ n.l }}",
        "{% set n = namespace(l=[1]) %}{% for i in range(99) %}{% set n.l = [n.l, n.l] %}{% endfor %}{{ n.l | tojson }}",
        "{% set n = namespace(l=['x' * 9999999]) %}{% for i in range(99) %}{% set n.l = [n.l, n.l] %}{% endfor %}{{ n.l | length ~ n.l }}",
        "{% set n = namespace(a=1, b=1) %}{% for i in range(99) %}{% set n.a, n.b = [n.a, n.a], [n.b, n.b] %}{% endfor %}{{ n.a == n.b }}",
        "{% set n = namespace(a=1, b=1) %}{% for i in range(99) %}{% set n.a, n.b = [n.a, n.a], [n.b, n.b] %}{% endfor %}{{ n.a < n.b }}",
        "{% set n = namespace(t=(1, 2)) %}{% for i in range(99) %}{% set n.t = (n.t, n.t) %}{% endfor %}{{ {n.t: 1} }}",
        "{% set n = namespace(l=[1]) %}{% for i in range(99) %}{% set n.l = [n.l, n.l] %}{% endfor %}{{ messages[n.l].x }}",
        "{{ 'x' * 10**12 }}",
        "{{ [1] * 10**12 }}",
        "{{ 'x'.ljust(10**12) }}",
        "{{ ''.ljust(-10**18) ~ 'x' * 10**9 }}",
        "{{ '' | center(-10**18) ~ 'x' * 10**9 }}",
        "{{ '%999999999s' % 1 }}",
        "{{ [1] | batch(10**9, 0) }}",
        "{{ ('x' * 99999).replace('', 'y' * 99999) }}",
        "{{ ('\n' * 999999) | indent(1000, true, true) }}",
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
        "{% for i in [1] recursive %}{{ loop([1]) }}{% endfor %}");

    [Theory]
    [MemberData(nameof(HostileTemplates))]
    public async Task Render_HostileTemplate_IsStopped(string source)
    {
        var template = ChatTemplate.Parse(source);

        var exception = await Assert.ThrowsAsync<ChatTemplateException>(() => WithinTimeout(() => template.Render(Chats.Input())));

        Assert.False(exception.RaisedByTemplate);
    }

    [Theory]
    [InlineData("{{ ", "(")]
    [InlineData("{{ ", "[")]
    [InlineData("{{ ", "not ")]
    [InlineData("{{ ", "-")]
    [InlineData("", "{% if x %}")]
    public void Parse_DeeplyNested_IsRefused(string prefix, string repeated) =>
        Assert.Throws<ChatTemplateException>(() => ChatTemplate.Parse(prefix + string.Concat(Enumerable.Repeat(repeated, 200_000))));

    [Theory]
    [InlineData("{{ '%d' % 9007199254740993 }}", "9007199254740993")]
    [InlineData("{{ '%d' % 1e22 }}", "10000000000000000000000")]
    [InlineData("{{ '%d' % (2.0 ** 99) }}", "633825300114114700748351602688")]
    [InlineData("{{ '%d' % -1.9 }}", "-1")]
    public void Render_NumberFormattedAsInteger_IsExact(string source, string expected) =>
        Assert.Equal(expected, ChatTemplate.Parse(source).Render(Chats.Input()).Text);

    [Fact]
    public void Render_InfinityFormattedAsInteger_IsRefused() =>
        Assert.Throws<ChatTemplateException>(() => ChatTemplate.Parse("{{ '%d' % (1e300 * 1e300) }}").Render(Chats.Input()));

    [Fact]
    public async Task ParseAndRender_DamagedTemplates_GiveTextOrTheDocumentedException()
    {
        var limits = new ChatTemplateLimits { Steps = 20_000, Characters = 1_000_000 };
        string[] sources = [.. Chats.Templates.Values, .. GoldenSources()];
        var random = new Random(11);
        var (rendered, refused) = (0, 0);

        await WithinTimeout(() =>
        {
            for (var round = 0; round < 20_000; round++)
            {
                var source = Damaged(random, sources);
                try
                {
                    var chat = ChatTemplate.Parse(source, limits: limits).Render(Chats.Inputs[round % Chats.Inputs.Count]);
                    Assert.All(chat.AssistantSpans, span => Assert.InRange(span.End, 0, chat.Text.Length));
                    rendered++;
                }
                catch (Exception exception)
                {
                    Assert.True(exception is ChatTemplateException { Line: > 0, Column: > 0 }, $"{source}\n{exception}");
                    refused++;
                }
            }
            return rendered;
        });

        Assert.True(rendered > 1000 && refused > 1000, $"{rendered} rendered, {refused} refused");
    }

    [Fact]
    public void Render_StrftimeNow_AsksTheGivenClock()
    {
        var clock = new FixedTime(new DateTimeOffset(2024, 7, 6, 5, 4, 3, TimeSpan.Zero));
        var template = ChatTemplate.Parse("{{ strftime_now('%d %b %Y, %-H:%M') }}", clock);

        Assert.Equal("06 Jul 2024, 5:04", template.Render(Chats.Input()).Text);
    }

    [Theory]
    [InlineData(@"""{\""city\"": \""Bern\""}""", "{'city': 'Bern'}")]
    [InlineData(@"""not json""", "not json")]
    [InlineData(@"{""city"": ""Bern""}", "{'city': 'Bern'}")]
    public void Render_ToolArguments_AreTheObjectThatTheirTextHolds(string arguments, string expected)
    {
        var calls = JsonElement.Parse($$$"""[{"function": {"name": "f", "arguments": {{{arguments}}}}}]""");
        var message = new ChatMessage(ChatMessage.AssistantRole, null) { ToolCalls = calls };

        Assert.Equal(expected, ChatTemplate.Parse("{{ messages[0].tool_calls[0].function.arguments }}").Render(Chats.Input(message)).Text);
    }

    [Theory]
    [InlineData(@"""{ \""city\"": \""Bern\"" }""", """{ "city": "Bern" }""")]
    [InlineData(@"{""city"": ""Bern""}", """{"city": "Bern"}""")]
    public void Render_ToolArgumentsAddedToText_AreTheirText(string arguments, string expected)
    {
        var calls = JsonElement.Parse($$$"""[{"function": {"name": "f", "arguments": {{{arguments}}}}}]""");
        var message = new ChatMessage(ChatMessage.AssistantRole, null) { ToolCalls = calls };

        Assert.Equal($"<{expected}>", ChatTemplate.Parse("{{ '<' + messages[0].tool_calls[0].function.arguments + '>' }}").Render(Chats.Input(message)).Text);
        Assert.Throws<ChatTemplateException>(() => ChatTemplate.Parse("{{ '<' + messages[0].tool_calls[0].function }}").Render(Chats.Input(message)));
    }

    private static async Task<T> WithinTimeout<T>(Func<T> work) =>
        await Task.Run(work, TestContext.Current.CancellationToken).WaitAsync(timeout, TestContext.Current.CancellationToken);

    private static IEnumerable<string> GoldenSources()
    {
        using var golden = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(TestPaths.Project, "ChatTemplates", "jinja-3.1.6.json")));
        return [.. golden.RootElement.GetProperty("cases").EnumerateArray().Select(item => item.GetProperty("template").GetString()!)];
    }

    private static string Damaged(Random random, string[] sources)
    {
        string[] pieces =
        [
            "{{", "}}", "{%", "%}", "{#", "#}", "-", "+", "(", ")", "[", "]", "|", "~", "'", "\"", "\\", ".", ",", ":", "=", "*", "**", "//",
            "%", "0", "-1", "9223372036854775807", "1e308", " not ", " in ", " is ", " if ", " else ", "none",
            "messages", "loop", "range", "tojson", "sort", "\uD83E", "\0",
        ];
        var source = sources[random.Next(sources.Length)];
        for (var count = random.Next(1, 4); count > 0 && source.Length > 0; count--)
        {
            var at = random.Next(source.Length);
            var end = Math.Min(source.Length, at + random.Next(1, 12));
            source = random.Next(4) switch
            {
                0 => source[..at] + source[end..],
                1 => source.Insert(at, source[at..end]),
                2 => source.Insert(at, pieces[random.Next(pieces.Length)]),
                _ => source[..at] + sources[random.Next(sources.Length)] + source[at..],
            };
        }
        return source;
    }
}
