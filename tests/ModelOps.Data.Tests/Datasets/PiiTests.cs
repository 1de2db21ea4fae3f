using System.Text.Json;
using ModelOps.Tables.Datasets.Pii;

namespace ModelOps.Data.Tests.Datasets;

public sealed class PiiTests : IDisposable
{
    // Written in two parts: scanners of repositories are not to take them for real ones.
    private const string OpenAIKey = "sk-" + "proj-aB3dE5fG7hI9jK1lM3nO5pQ7";
    private const string AwsKey = "AKIA" + "IOSFODNN7EXAMPLE";
    private const string GitHubToken = "ghp_" + "aB3dE5fG7hI9jK1lM3nO5pQ7rS9tU1vW3xY5";
    private const string Jwt = "eyJhbGciOiJIUzI1NiJ9" + ".eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N";
    private const string PrivateKey = "-----BEGIN RSA PRIVATE " + "KEY-----\nMIIEow==\n-----END RSA PRIVATE KEY-----";

    private readonly TestIngestion ingestion = new();

    public void Dispose() => ingestion.Dispose();

    [Theory]
    [InlineData("write to ada.l+x@mail.example.org.", "write to [EMAIL].")]
    [InlineData("<a@b.co>,c_d@e-f.com", "<[EMAIL]>,[EMAIL]")]
    [InlineData("call +49 30 1234567 now", "call [PHONE] now")]
    [InlineData("call +14155552671", "call [PHONE]")]
    [InlineData("call (415) 555-2671 or 415-555-2672 or 415.555.2673", "call [PHONE] or [PHONE] or [PHONE]")]
    [InlineData("call 1-415-555-2671", "call [PHONE]")]
    [InlineData("card 4111 1111 1111 1111!", "card [CARD]!")]
    [InlineData("card 5500-0000-0000-0004, 340000000000009, 3400 000000 00009", "card [CARD], [CARD], [CARD]")]
    [InlineData("pay DE89 3704 0044 0532 0130 00 soon", "pay [IBAN] soon")]
    [InlineData("pay GB82WEST12345698765432", "pay [IBAN]")]
    [InlineData("pay NO9386011117947", "pay [IBAN]")]
    [InlineData("key " + OpenAIKey + ".", "key [SECRET].")]
    [InlineData(AwsKey + " " + GitHubToken, "[SECRET] [SECRET]")]
    [InlineData("Bearer " + Jwt, "Bearer [SECRET]")]
    [InlineData("a " + PrivateKey + " b", "a [SECRET] b")]
    [InlineData("-----BEGIN OPENSSH PRIVATE " + "KEY-----\nb3Bl", "[SECRET]\nb3Bl")]
    public void Mask_PersonalDataAndSecrets_AreMasked(string text, string masked) => Assert.Equal(masked, PiiScanner.Mask(text));

    [Theory]
    [InlineData("a@b, @name, x@y z.com, user@localhost")]
    [InlineData("decorators like @app.route and npm @scope/name@1.2.3")]
    [InlineData("version 10.0.401, 3.14159265358979, 192.168.100.200")]
    [InlineData("4111 1111 1111 1112")] // Luhn
    [InlineData("1234567890123456")]
    [InlineData("0000000000000000")]
    [InlineData("2000000-400000=1600000 and 355909190063-746")] // Luhn, but grouped otherwise
    [InlineData("order 1111111111111117")] // Luhn holds, no network begins with 1
    [InlineData("DE89 3704 0044 0532 0130 01")] // mod 97
    [InlineData("THIS IS ALL CAPS TEXT WITH 1234 NUMBERS")]
    [InlineData("in 1984 there were 2024-11-24 and 12:30:45 and 1,234,567.89")]
    [InlineData("555-1234 and 123-45-6789 and 2+2=4 and +5 points")]
    [InlineData("sk-learn, skip-this-one, AKIA, AKIAshort, ghp_short, eyJhbGci.only")]
    [InlineData("-----BEGIN PUBLIC KEY-----")]
    [InlineData("sha256 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08")]
    [InlineData("uuid 123e4567-e89b-12d3-a456-426614174000")]
    public void Find_OtherTexts_HaveNone(string text) => Assert.Empty(PiiScanner.Find(text));

    [Fact]
    public async Task Run_Report_CountsKindsWithLinesAndChangesNothing()
    {
        var rows = $"{Pair("mail a@b.com and c@d.org", "ok")}\n{Pair("hello", "world")}\n{Pair("4111111111111111", "c@d.org")}\n";
        var ingested = await ingestion.IngestAsync(rows, new() { Pii = "report" });
        var report = ingested.Report.Pii!;
        Assert.Equal(("report", 2), (report.Mode, report.Rows));
        Assert.Collection(
            report.Kinds,
            card => Assert.Equal(("card", 1, "3"), (card.Kind, card.Count, string.Join(',', card.Lines))),
            email => Assert.Equal(("email", 3, "1,3"), (email.Kind, email.Count, string.Join(',', email.Lines))));
        Assert.Contains("a@b.com", (await ingestion.RowsAsync(ingested))[0].Messages[0].Content, StringComparison.Ordinal);
        Assert.Null((await ingestion.IngestAsync(rows)).Report.Pii);
    }

    [Fact]
    public async Task Run_Mask_MasksTextsCallsToolsAndQuarantine()
    {
        var calls = """[{"id":"1","function":{"name":"pay","arguments":{"card":4111111111111111,"to":"a@b.com","sum":5}}}]""";
        var rows = $$"""
            {"messages":[{"role":"user","content":"I am a@b.com"},{"role":"assistant","content":"","tool_calls":{{calls}}}],"tools":[{"owner":"c@d.org"}]}
            {"messages":[{"role":"wizard","content":"I am e@f.net"}]}
            """;
        var ingested = await ingestion.IngestAsync(rows, new() { Pii = "mask", MaxBad = "1" });
        var row = Assert.Single(await ingestion.RowsAsync(ingested));
        Assert.Equal("I am [EMAIL]", row.Messages[0].Content);
        using var masked = JsonDocument.Parse(row.Messages[1].ToolCalls!);
        Assert.Equal("""{"card":"[CARD]","to":"[EMAIL]","sum":5}""", masked.RootElement[0].GetProperty("function").GetProperty("arguments").GetRawText());
        Assert.Equal("""[{"owner":"[EMAIL]"}]""", row.Content.Tools);
        Assert.Equal("""{"messages":[{"role":"wizard","content":"I am [EMAIL]"}]}""", Assert.Single(await ingestion.QuarantineAsync(ingested)).Raw);
    }

    [Fact]
    public async Task Run_MaskArgumentsWrittenAsText_LeavesThemJson()
    {
        var row = """{"messages":[{"role":"user","content":"q"},{"role":"assistant","tool_calls":[{"function":{"name":"pay","arguments":"{\"card\":4111111111111111}"}}]}]}""";
        var read = Assert.Single(await ingestion.RowsAsync(await ingestion.IngestAsync(row, new() { Pii = "mask" })));
        using var calls = JsonDocument.Parse(read.Messages[1].ToolCalls!);
        Assert.Equal("""{"card":"[CARD]"}""", calls.RootElement[0].GetProperty("function").GetProperty("arguments").GetString());
    }

    [Fact]
    public async Task Run_MaskEscapedTextsAndKeysOfJson_FindsWhatTheySay()
    {
        var calls = """[{"function":{"name":"pay","arguments":{"phone":"\u002B49 30 1234567","a@b.com":1,"c@d.org":"{\"to\":\"e\\u0040f.net\"}"}}}]""";
        var row = $$"""{"messages":[{"role":"user","content":"q"},{"role":"assistant","tool_calls":{{calls}}}]}""";
        var bad = """{"messages":[{"role":"wizard","content":"I am g\u0040h.io"}]}""";
        var ingested = await ingestion.IngestAsync($"{row}\n{bad}\n", new() { Pii = "mask", MaxBad = "1" });
        var read = Assert.Single(await ingestion.RowsAsync(ingested));
        using var masked = JsonDocument.Parse(read.Messages[1].ToolCalls!);
        var arguments = masked.RootElement[0].GetProperty("function").GetProperty("arguments");
        Assert.Equal(["phone", "[EMAIL]", "[EMAIL] 2"], arguments.EnumerateObject().Select(argument => argument.Name));
        Assert.Equal("[PHONE]", arguments.GetProperty("phone").GetString());
        Assert.Equal("""{"to":"[EMAIL]"}""", arguments.GetProperty("[EMAIL] 2").GetString());
        Assert.Equal([("email", 3L), ("phone", 1L)], ingested.Report.Pii!.Kinds.Select(kind => (kind.Kind, kind.Count)));
        Assert.Equal("""{"messages":[{"role":"wizard","content":"I am [EMAIL]"}]}""", Assert.Single(await ingestion.QuarantineAsync(ingested)).Raw);
    }

    [Fact]
    public async Task Run_RowsThatAreEqualWhenMasked_AreKeptOnce()
    {
        var rows = $"{Pair("mail a@b.com", "ok")}\n{Pair("mail c@d.org", "ok")}\n";
        var ingested = await ingestion.IngestAsync(rows, new() { Pii = "mask" });
        Assert.Equal((1, 1), (ingested.Report.Rows.Kept, ingested.Report.Rows.ExactDuplicates));
    }

    private static string Pair(string prompt, string completion) => $$"""{"prompt":"{{prompt}}","completion":"{{completion}}"}""";
}
