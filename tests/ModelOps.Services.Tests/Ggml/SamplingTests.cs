using ModelOps.Ggml;

namespace ModelOps.Services.Tests.Ggml;

public sealed class SamplingTests(GgmlFixture fixture) : IClassFixture<GgmlFixture>
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task GenerateAsync_PenaltiesAndBias_EqualTheFormulas()
    {
        await using var engine = Engine();
        int[] prompt = Prompts.Random(1, 12);
        var options = new SamplingOptions
        {
            FrequencyPenalty = 1.5f,
            PresencePenalty = 0.5f,
            RepeatPenalty = 1.3f,
            LogitBias = new Dictionary<int, float> { [70] = 3, [80] = float.NegativeInfinity, [prompt[0]] = -2 },
        };
        var completion = new List<int>();

        var expected = BareLoop.Run(fixture.Model, prompt, 60, logits =>
        {
            foreach (var (token, bias) in options.LogitBias) logits[token] += bias;
            foreach (var token in prompt.Concat(completion).Distinct())
                logits[token] = logits[token] > 0 ? logits[token] / 1.3f : logits[token] * 1.3f;
            foreach (var token in completion.Distinct()) logits[token] -= (completion.Count(other => other == token) * 1.5f) + 0.5f;
            completion.Add(BareLoop.ArgMax(logits));
            return completion[^1];
        });
        var actual = await engine.CompleteAsync(new GenerationRequest { Prompt = prompt, MaxTokens = 60, Sampling = options }, Token);

        Assert.Equal(expected, actual.Tokens);
        Assert.NotEqual(BareLoop.Greedy(fixture.Model, prompt, 60), actual.Tokens);
        Assert.DoesNotContain(80, actual.Tokens);
    }

    [Fact]
    public async Task GenerateAsync_TopLogprobs_EqualTheSoftmaxOfTheLogits()
    {
        await using var engine = Engine();
        int[] prompt = Prompts.Random(1, 12);
        var logits = new List<float[]>();
        var expected = BareLoop.Run(fixture.Model, prompt, 10, row =>
        {
            logits.Add(row);
            return BareLoop.ArgMax(row);
        });

        var request = new GenerationRequest { Prompt = prompt, MaxTokens = 10, TopLogprobs = 3, Sampling = new() { LogitBias = new Dictionary<int, float> { [4] = -1 } } };
        var logprobs = (await engine.CompleteAsync(request, Token)).Logprobs;

        Assert.Equal(expected, logprobs.Select(logprob => logprob.Token));
        for (var i = 0; i < 10; i++)
        {
            var sum = logits[i].Sum(logit => Math.Exp(logit));
            Assert.Equal(Math.Log(Math.Exp(logits[i][expected[i]]) / sum), logprobs[i].Logprob, 1e-4);
            Assert.Equal(logits[i].Index().OrderByDescending(entry => entry.Item).Take(3).Select(entry => entry.Index), logprobs[i].Top.Select(top => top.Token));
            Assert.Equal(logprobs[i].Logprob, logprobs[i].Top[0].Logprob);
            Assert.Equal(fixture.Model.TokenBytes(expected[i]), logprobs[i].Bytes.ToArray());
        }
    }

    [Fact]
    public async Task GenerateAsync_NoTopLogprobs_HasTheTokenAloneOrNone()
    {
        await using var engine = Engine();

        var alone = await engine.CompleteAsync(new GenerationRequest { Prompt = [5], MaxTokens = 4, TopLogprobs = 0 }, Token);
        var none = await engine.CompleteAsync(new GenerationRequest { Prompt = [5], MaxTokens = 4 }, Token);

        Assert.Equal(4, alone.Logprobs.Count);
        Assert.All(alone.Logprobs, logprob => Assert.Empty(logprob.Top));
        Assert.Empty(none.Logprobs);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(2)]
    public async Task GenerateAsync_Grammar_IsObeyedAtAnyTemperature(float temperature)
    {
        await using var engine = Engine();
        const string grammar = """root ::= "<" [a-c]{3,9} ">" ("yes" | "no")""";

        var completions = await Task.WhenAll(Enumerable.Range(0, 12).Select(seed => engine.CompleteAsync(
            new GenerationRequest
            {
                Prompt = Prompts.Random(seed, 8),
                Grammar = grammar,
                Sampling = new() { Temperature = temperature, TopK = 40, TopP = 0.95f, Seed = (uint)seed },
            },
            Token)));

        Assert.All(completions, completion => Assert.Matches("^<[a-c]{3,9}>(yes|no)$", completion.Text));
        Assert.All(completions, completion => Assert.Equal(FinishReason.Stop, completion.Finish));
        Assert.True(completions.Select(completion => completion.Text).Distinct().Count() > 3);
    }

    [Fact]
    public async Task GenerateAsync_LargestGrammars_AreParsedAndUsed()
    {
        await using var engine = Engine();
        var deep = $"root ::= {new string('(', GrammarText.MaxDepth)}\"ab\"{new string(')', GrammarText.MaxDepth)}";
        var rules = GrammarText.MaxRules - 1;
        var chain = $"root ::= r1{string.Concat(Enumerable.Range(1, rules - 1).Select(i => $"\nr{i} ::= r{i + 1}"))}\nr{rules} ::= \"ab\"";
        var repeated = $"root ::= \"ab\" \"{new string('x', GrammarText.MaxElements / GrammarText.MaxRepetition - 2)}\"{{0,{GrammarText.MaxRepetition}}}";

        foreach (var grammar in new[] { deep, chain, repeated })
            Assert.Equal("ab", (await engine.CompleteAsync(new GenerationRequest { Prompt = [5], Grammar = grammar, Stop = ["x"] }, Token)).Text);
    }

    [Fact]
    public async Task GenerateAsync_NothingAllowed_FailsThatRequestAlone()
    {
        await using var engine = Engine();
        var other = engine.CompleteAsync(new GenerationRequest { Prompt = [5], MaxTokens = 200 }, Token);
        var excluded = Enumerable.Range(0, fixture.Model.VocabularySize).ToDictionary(token => token, _ => float.NegativeInfinity);

        foreach (var temperature in new[] { 0f, 1f })
            await Assert.ThrowsAsync<GgmlException>(() => engine.CompleteAsync(
                new GenerationRequest { Prompt = [5], Sampling = new() { Temperature = temperature, LogitBias = excluded } }, Token));

        Assert.Equal(200, (await other).Tokens.Length);
        Assert.Equal((2L, 1L), (engine.Statistics.Failed, engine.Statistics.Completed));
    }

    private BatchingEngine Engine() => new(fixture.Model, new EngineOptions { Threads = 1, Slots = 4, BatchTokens = 64 });
}
