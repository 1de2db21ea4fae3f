using ModelOps.Ggml;

namespace ModelOps.Services.Tests.Ggml;

public sealed class GrammarTests(GgmlFixture fixture) : IClassFixture<GgmlFixture>
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("", "no rule 'root'")]
    [InlineData("other ::= \"a\"", "no rule 'root'")]
    [InlineData("root ::= [a", "line 1, column 12: a class of characters is not closed")]
    [InlineData("root ::= \"a", "line 1, column 12: a literal is not closed")]
    [InlineData("root ::= a\n\na ::= missing", "line 3, column 7: there is no rule 'missing'")]
    [InlineData("root ::= \"a\"\nroot ::= \"b\"", "defined twice")]
    [InlineData("root ::= root \"a\"", "left recursion")]
    [InlineData("root ::= a\na ::= b? a", "no rule 'b'")]
    [InlineData("root ::= (\"a\"", "expected ')'")]
    [InlineData("root ::= \"a\")", "expected an element")]
    [InlineData("root := \"a\"", "expected '::='")]
    [InlineData("root ::= * \"a\"", "nothing to repeat")]
    [InlineData("root ::= \"a\"{3,2}", "impossible")]
    [InlineData("root ::= \"a\"{x}", "expected a number")]
    [InlineData("root ::= \"a\"{2001}", "more than 2000")]
    [InlineData("root ::= \"a\"{99999999999}", "more than 2000")]
    [InlineData("root ::= \"\\q\"", "no such escape")]
    [InlineData("root ::= \"\\u12\"", "4 hexadecimal digits")]
    [InlineData("root ::= <[5]>", "tokens are not supported")]
    [InlineData("root ::= \"\0\"", "NUL")]
    public async Task GenerateAsync_WrongGrammar_SaysWhereAndWhy(string grammar, string expected)
    {
        await using var engine = new BatchingEngine(fixture.Model, new EngineOptions { Threads = 1, Slots = 1 });

        var error = await Assert.ThrowsAsync<ArgumentException>(() => engine.CompleteAsync(new GenerationRequest { Prompt = [5], Grammar = grammar }, Token));

        Assert.Contains(expected, error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(201, 1, 1, "200 deep")]
    [InlineData(1, 4001, 1, "4000 rules")]
    [InlineData(1, 1, 101, "100000 elements")]
    public void Check_HugeGrammar_IsRefusedBeforeTheParserSeesIt(int depth, int rules, int repeated, string expected)
    {
        var chain = string.Concat(Enumerable.Range(1, rules - 1).Select(i => $"\nr{i} ::= r{i + 1}"));
        var element = $"\"{new string('x', repeated)}\"{{1000}}";
        var grammar = $"root ::= {new string('(', depth)}{element}{new string(')', depth)}{chain}\nr{rules} ::= \"a\"";

        Assert.Contains(expected, Assert.Throws<ArgumentException>(() => GrammarText.Check(grammar)).Message, StringComparison.Ordinal);
        Assert.Contains("characters", Assert.Throws<ArgumentException>(() => GrammarText.Check(new string(' ', GrammarText.MaxLength + 1))).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("# comment\nroot ::= # here\n  a | # there\n  b\na ::= \"x\" . [^a-z\\]\\x41\\u00e4-] \r\nb ::= (\"y\"\n | \"z\" )* a? a+ a{2} a{1,} a{0,3}\n")]
    [InlineData("root ::= \"\"")]
    [InlineData("root ::= ")]
    [InlineData("root ::= [🥊-🥋]")]
    public async Task GenerateAsync_AllOfTheSyntax_IsTakenByLlamaToo(string grammar)
    {
        await using var engine = new BatchingEngine(fixture.Model, new EngineOptions { Threads = 1, Slots = 1 });

        await engine.CompleteAsync(new GenerationRequest { Prompt = [5], Grammar = grammar, MaxTokens = 4 }, Token);
    }
}
