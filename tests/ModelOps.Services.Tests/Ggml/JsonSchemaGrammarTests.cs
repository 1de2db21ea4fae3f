using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using ModelOps.Ggml;
using ModelOps.Ggml.Native;

namespace ModelOps.Services.Tests.Ggml;

public sealed class JsonSchemaGrammarTests(GgmlFixture fixture) : IClassFixture<GgmlFixture>, IDisposable
{
    private readonly LlamaContext context = new(fixture.Model, new ContextShape(32, 1, 32, 1, Threads: 1, GgmlType.F16, FlashAttention: true));

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public void Dispose() => context.Dispose();

    [Theory]
    [InlineData("""{"type":"object","properties":{"a":{"type":"integer"},"b":{"type":"string"}},"required":["a"],"additionalProperties":false}""",
        """{"a":1}|{"a": -20, "b": "x\n\"ä"}|{ "a":0 }""", """{}|{"b":"x"}|{"a":1.5}|{"a":1,"c":2}|{"b":"x","a":1}|{"a":01}""")]
    [InlineData("""{"type":"object","properties":{"a":{"type":"null"},"b":{"type":"null"},"c":{"type":"null"}},"required":["b"]}""",
        """{"b":null}|{"a":null,"b":null}|{"b":null,"c":null}|{"a":null,"b":null,"c":null}""", """{"a":null}|{"c":null}|{"b":null,}|{,"b":null}""")]
    [InlineData("""{"type":"object","properties":{"ab":{"type":"boolean"}},"additionalProperties":{"type":"integer"}}""",
        """{}|{"ab":true}|{"x":1}|{"a":1}|{"abc":2,"y":3}|{"ab":true,"b":1}""", """{"ab":1}|{"x":true}|{"x":1,"ab":true}""")]
    [InlineData("""{"type":"object"}""", """{}|{"a":[1,{"b":null}],"c":"d"}""", """[]|{"a"}|{1:2}""")]
    [InlineData("""{"type":"array","items":{"type":"integer"},"minItems":2,"maxItems":3}""", "[1,2]|[1, 2, 3]", "[1]|[]|[1,2,3,4]|[1,]")]
    [InlineData("""{"type":"array","items":{"type":"integer"},"maxItems":1}""", "[]|[1]", "[1,2]")]
    [InlineData("""{"type":"array","prefixItems":[{"type":"string"},{"type":"boolean"}],"minItems":1,"items":false}""", """["a"]|["a",true]""", """[]|[true]|["a",true,1]""")]
    [InlineData("""{"type":"array","prefixItems":[{"type":"string"}],"minItems":2,"items":{"type":"null"}}""", """["a",null]|["a",null,null]""", """["a"]|[null,null]""")]
    [InlineData("""{"enum":["a","b c",1,null,{"x":[true]}]}""", """ "a"|"b c"|1|null|{"x":[true]}""", """ "c"|2|true""")]
    [InlineData("""{"type":"string","enum":["a",1]}""", "\"a\"", "1")]
    [InlineData("""{"const":"a\"b\\c"}""", """ "a\"b\\c"|""", "\"a\"")]
    [InlineData("""{"type":["string","null"],"minLength":2,"maxLength":3}""", """ "ab"|"abc"|"a\u00e4"|null""", """ "a"|"abcd"|"\ud83d\ude00"|1""")]
    [InlineData("""{"anyOf":[{"type":"string"},{"type":"array","items":{"$ref":"#"}}]}""", """ "a"|["a",["b",[]]]""", """1|[1]""")]
    [InlineData("""{"oneOf":[{"type":"object","properties":{"k":{"const":"a"}},"required":["k"]},{"type":"object","properties":{"k":{"const":"b"},"n":{"type":"integer"}},"required":["k"]}]}""",
        """{"k":"a"}|{"k":"b","n":1}""", """{"k":"c"}|{"k":"a","n":1}""")]
    [InlineData("""{"$ref":"#/$defs/node","$defs":{"node":{"type":"object","properties":{"next":{"anyOf":[{"$ref":"#/$defs/node"},{"type":"null"}]}},"required":["next"]}}}""",
        """{"next":null}|{"next":{"next":{"next":null}}}""", """{}|{"next":1}""")]
    [InlineData("true", """1|"a"|[null]|{"a":1.5e3}|-0.25""", "nul|[1 2]|.5|+1|1.")]
    [InlineData("""{"type":"number"}""", "0|-1.5|1e5|2E-3", "01|1.|.1|--1|\"1\"")]
    public void ToGbnf_Examples_AcceptAndReject(string schema, string accepted, string rejected)
    {
        var grammar = JsonSchemaGrammar.ToGbnf(JsonElement.Parse(schema));

        Assert.All(accepted.Split('|', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries), text => Assert.True(Accepts(grammar, text), $"{text} is refused by\n{grammar}"));
        Assert.All(rejected.Split('|', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries), text => Assert.False(Accepts(grammar, text), $"{text} is accepted by\n{grammar}"));
    }

    [Fact]
    public void ToGbnf_IntegerRanges_HaveExactlyTheirNumbers()
    {
        var random = new Random(5);
        for (var round = 0; round < 40; round++)
        {
            var (a, b) = (random.Next(-1200, 1200), random.Next(-1200, 1200));
            var (least, most) = (Math.Min(a, b), Math.Max(a, b));
            var grammar = $"root ::= {IntegerRange.ToGbnf(least, most)}";
            int[] tried = [least - 1, least, least + 1, most - 1, most, most + 1, 0, -1, 1, 9, 10, 99, 100, -10, .. Enumerable.Range(0, 20).Select(_ => random.Next(-1300, 1300))];
            Assert.All(tried, number => Assert.True(Accepts(grammar, $"{number}") == (number >= least && number <= most), $"{number} in {least}..{most}: {grammar}"));
        }
    }

    [Theory]
    [InlineData("""{"type":"integer","minimum":3,"exclusiveMaximum":12}""", "3|9|10|11", "2|12|-3|03")]
    [InlineData("""{"type":"integer","exclusiveMinimum":-2.5}""", "-2|0|9007199254740991", "-3|9007199254740992")]
    [InlineData("""{"type":"integer","maximum":-1}""", "-1|-9007199254740991", "0|1|-0")]
    public void ToGbnf_IntegerBounds_AreObeyed(string schema, string accepted, string rejected) => ToGbnf_Examples_AcceptAndReject(schema, accepted, rejected);

    [Fact]
    public void ToGbnf_Unsupported_NamesEverythingByPointer()
    {
        var schema = JsonElement.Parse("""
            {"type":"object","required":["z"],"additionalProperties":false,"properties":{
              "a":{"type":"string","pattern":"x"},"b":{"not":{}},"c":{"type":"number","minimum":1},"d":{"$ref":"https://example.org/s"},
              "e":{"$ref":"#/$defs/none"},"f":{"oneOf":[{"type":"integer"},{"type":"number"}]},"g":{"type":"text"},"h/i":{"enum":[1],"type":"string"},
              "j":false,"k":{"allOf":[{},{}]},"l":{"anyOf":[{}],"type":"string"},"m":{"type":"string","maxLength":5000},"n":{"type":"integer","minimum":2,"maximum":1}}}
            """);

        var message = Assert.Throws<ArgumentException>(() => JsonSchemaGrammar.ToGbnf(schema)).Message;

        string[] parts =
        [
            "#/required: 'z'", "#/properties/a/pattern", "#/properties/b/not", "#/properties/c/minimum", "'https://example.org/s'", "'#/$defs/none'",
            "#/properties/f/oneOf: alternatives 0 and 1", "no type 'text'", "#/properties/h~1i/enum", "#/properties/j: false", "#/properties/k/allOf",
            "anyOf beside type", "#/properties/m/maxLength", "no integer is from 2 to 1",
        ];
        foreach (var part in parts) Assert.Contains(part, message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task GenerateAsync_RandomSchemas_TheirAnswersValidate()
    {
        await using var engine = new BatchingEngine(fixture.Model, new EngineOptions { Threads = 1, Slots = 8, QueueLength = 1000 });
        var random = new Random(7);
        JsonNode[] schemas = [.. Enumerable.Range(0, 40).Select(_ => RandomSchema(random, 0))];
        // A random model closes nothing by itself.
        var bias = "\"]}".ToDictionary(character => 3 + character, _ => 4f);

        var cases = await Task.WhenAll(schemas.Select(async (schema, i) =>
        {
            var grammar = JsonSchemaGrammar.ToGbnf(JsonElement.Parse(schema.ToJsonString()));
            var completions = await Task.WhenAll(Enumerable.Range(0, 4).Select(seed => engine.CompleteAsync(
                new GenerationRequest
                {
                    Prompt = Prompts.Random((i * 10) + seed, 5),
                    Grammar = grammar,
                    MaxTokens = 300,
                    Sampling = new() { Temperature = 1, TopK = 60, Seed = (uint)seed, LogitBias = bias },
                },
                Token)));
            return new { schema, documents = completions.Where(completion => completion.Finish == FinishReason.Stop).Select(completion => completion.Text).ToArray() };
        }));
        var verdict = await NodeOracle.AskAsync("validate-documents.mjs", new { cases }, Token);

        Assert.Empty(verdict.GetProperty("errors").EnumerateArray().Select(error => error.GetString()));
        Assert.InRange(cases.Sum(one => one.documents.Length), 120, 160);
        Assert.True(cases.SelectMany(one => one.documents).Distinct().Count() > 80);
    }

    private static JsonNode RandomSchema(Random random, int depth)
    {
        switch (random.Next(depth > 2 ? 5 : 9))
        {
            case 0: return new JsonObject { ["type"] = "boolean", ["title"] = "a flag" };
            case 1:
                var (low, span) = (random.Next(-2000, 2000), random.Next(0, 3000));
                return new JsonObject { ["type"] = "integer", ["minimum"] = low, ["maximum"] = low + span };
            case 2:
                var least = random.Next(0, 5);
                return new JsonObject { ["type"] = new JsonArray("string", "null"), ["minLength"] = least, ["maxLength"] = least + random.Next(0, 9) };
            case 3: return new JsonObject { ["enum"] = new JsonArray("red", "gr\"een", random.Next(100), null) };
            case 4: return new JsonObject { ["type"] = random.Next(2) == 0 ? "number" : "string" };
            case 5 or 6:
                var properties = new JsonObject();
                for (var i = random.Next(0, 5); i > 0; i--) properties[$"{"abc"[random.Next(3)]}{"abc"[random.Next(3)]}"] = RandomSchema(random, depth + 1);
                var required = new JsonArray([.. properties.Where(_ => random.Next(2) == 0).Select(property => (JsonNode)property.Key)]);
                var schema = new JsonObject { ["type"] = "object", ["properties"] = properties, ["required"] = required };
                if (random.Next(3) > 0) schema["additionalProperties"] = random.Next(2) == 0 ? false : RandomSchema(random, depth + 1);
                return schema;
            case 7:
                var most = random.Next(1, 5);
                return new JsonObject { ["type"] = "array", ["items"] = RandomSchema(random, depth + 1), ["minItems"] = random.Next(0, most), ["maxItems"] = most };
            default:
                return new JsonObject { ["anyOf"] = new JsonArray(RandomSchema(random, depth + 1), RandomSchema(random, depth + 1)) };
        }
    }

    /// <summary>Whether llama.cpp's sampler lets every byte of a text pass, and the end after it.</summary>
    private unsafe bool Accepts(string grammar, string text)
    {
        using var sampler = context.ParseGrammar(grammar);
        foreach (var token in Encoding.UTF8.GetBytes(text).Select(value => 3 + value))
        {
            if (!Allows(token)) return false;
            NativeLlama.AcceptToken(sampler, token);
        }
        return Allows(TinyGguf.EndOfTurn);

        bool Allows(int token)
        {
            var only = new TokenData { Token = token, Logit = 1 };
            var candidates = new TokenDataArray { Data = &only, Count = 1, Selected = -1 };
            NativeLlama.ApplySampler(sampler, &candidates);
            return !float.IsNegativeInfinity(only.Logit);
        }
    }
}
