using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using ModelOps.Registry;

namespace ModelOps.Data.Tests.Registry;

public sealed class CanonicalJsonTests
{
    // RFC 8785, Appendix B.
    [Theory]
    [InlineData(0x0000000000000000, "0")]
    [InlineData(0x8000000000000000, "0")]
    [InlineData(0x0000000000000001, "5e-324")]
    [InlineData(0x8000000000000001, "-5e-324")]
    [InlineData(0x7fefffffffffffff, "1.7976931348623157e+308")]
    [InlineData(0xffefffffffffffff, "-1.7976931348623157e+308")]
    [InlineData(0x4340000000000000, "9007199254740992")]
    [InlineData(0xc340000000000000, "-9007199254740992")]
    [InlineData(0x4430000000000000, "295147905179352830000")]
    [InlineData(0x44b52d02c7e14af5, "9.999999999999997e+22")]
    [InlineData(0x44b52d02c7e14af6, "1e+23")]
    [InlineData(0x44b52d02c7e14af7, "1.0000000000000001e+23")]
    [InlineData(0x444b1ae4d6e2ef4e, "999999999999999700000")]
    [InlineData(0x444b1ae4d6e2ef4f, "999999999999999900000")]
    [InlineData(0x444b1ae4d6e2ef50, "1e+21")]
    [InlineData(0x3eb0c6f7a0b5ed8c, "9.999999999999997e-7")]
    [InlineData(0x3eb0c6f7a0b5ed8d, "0.000001")]
    [InlineData(0x41b3de4355555553, "333333333.3333332")]
    [InlineData(0x41b3de4355555554, "333333333.33333325")]
    [InlineData(0x41b3de4355555555, "333333333.3333333")]
    [InlineData(0x41b3de4355555556, "333333333.3333334")]
    [InlineData(0x41b3de4355555557, "333333333.33333343")]
    [InlineData(0xbecbf647612f3696, "-0.0000033333333333333333")]
    [InlineData(0x43143ff3c1cb0959, "1424953923781206.2")]
    public void Serialize_NumberOfTheSpecification_MatchesItsText(ulong bits, string expected) =>
        Assert.Equal(expected, Canonical(JsonSerializer.Serialize(BitConverter.UInt64BitsToDouble(bits))));

    [Fact]
    public void Serialize_SampleOfTheSpecification_MatchesItsText()
    {
        // RFC 8785, §3.2.2 and §3.2.3.
        const string input = """
            {
              "numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
              "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
              "literals": [null, true, false]
            }
            """;
        const string expected =
            """{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"€$\u000f\nA'B\"\\\\\"/"}""";
        Assert.Equal(expected, Canonical(input));
    }

    [Fact]
    public void Serialize_SortingSampleOfTheSpecification_SortsByUtf16CodeUnit()
    {
        const string input = """
            {
              "\u20ac": "Euro Sign", "\r": "Carriage Return", "\ufb33": "Hebrew Letter Dalet With Dagesh", "1": "One",
              "\ud83d\ude00": "Emoji: Grinning Face", "\u0080": "Control", "\u00f6": "Latin Small Letter O With Diaeresis"
            }
            """;
        using var document = JsonDocument.Parse(Canonical(input));
        string[] expected =
        [
            "Carriage Return", "One", "Control", "Latin Small Letter O With Diaeresis", "Euro Sign", "Emoji: Grinning Face",
            "Hebrew Letter Dalet With Dagesh",
        ];
        Assert.Equal(expected, document.RootElement.EnumerateObject().Select(member => member.Value.GetString()));
    }

    [Theory]
    [InlineData("""{"a":[1,{"b":2,"\u0062":3}]}""", "$.a[1]")]
    [InlineData("""{"a":"\ud800"}""", "$.a")]
    [InlineData("""{"a":"\udc00x"}""", "$.a")]
    [InlineData("""{"\ud800":1}""", "$")]
    [InlineData("""[0,1e400]""", "$[1]")]
    [InlineData("""[-1e309]""", "$[0]")]
    public void Serialize_ValueWithoutCanonicalForm_SaysWhere(string input, string place)
    {
        var fault = Assert.Throws<CanonicalJsonException>(() => Canonical(input));
        Assert.StartsWith($"{place}:", fault.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Serialize_RandomValues_ReadBackEqualAndStay()
    {
        var random = new Random(8785);
        for (var i = 0; i < 500; i++)
        {
            var value = RandomValue(random, depth: 4);
            var text = value?.ToJsonString() ?? "null";
            var canonical = Canonical(text);
            Assert.True(JsonNode.DeepEquals(value, JsonNode.Parse(canonical)), $"{text} became {canonical}");
            Assert.Equal(canonical, Canonical(canonical));
        }
    }

    [Fact]
    public void Serialize_RandomDoubles_ReadBackToTheSameBits()
    {
        var random = new Random(1985);
        for (var i = 0; i < 20_000; i++)
        {
            var value = BitConverter.Int64BitsToDouble(random.NextInt64(long.MinValue, long.MaxValue));
            if (!double.IsFinite(value) || value == 0)
                continue;
            Assert.Equal(value, double.Parse(Canonical(JsonSerializer.Serialize(value))));
        }
    }

    [Fact]
    public void Serialize_RandomBytes_GiveAValueOrTheDocumentedException()
    {
        var random = new Random(3);
        var seed = Encoding.UTF8.GetBytes("""{"a":[1.5e3,"é\ud83d\ude00\n",null,{"b":true,"c":-0.0}],"z":"\u0001"}""");
        for (var i = 0; i < 5_000; i++)
        {
            var bytes = seed.ToArray();
            for (var flips = random.Next(1, 4); flips > 0; flips--)
                bytes[random.Next(bytes.Length)] = (byte)random.Next(256);
            if (Parse(bytes) is not { } value)
                continue;
            var canonical = Record.Exception(() => CanonicalJson.Serialize(value));
            Assert.True(canonical is null or CanonicalJsonException, $"{Convert.ToHexString(bytes)}: {canonical}");
        }
    }

    private static JsonElement? Parse(byte[] bytes)
    {
        try
        {
            return JsonElement.Parse(bytes);
        }
        catch (JsonException)
        {
            return null;
        }
    }

    private static string Canonical(string json) => Encoding.UTF8.GetString(CanonicalJson.Serialize(JsonElement.Parse(json)));

    private static JsonNode? RandomValue(Random random, int depth) => random.Next(depth == 0 ? 4 : 6) switch
    {
        0 => null,
        1 => random.Next(2) == 0,
        2 => Math.Round((random.NextDouble() - 0.5) * Math.Pow(10, random.Next(-20, 25)), 6),
        3 => RandomText(random),
        4 => new JsonArray([.. Enumerable.Range(0, random.Next(4)).Select(_ => RandomValue(random, depth - 1))]),
        _ => new JsonObject(Enumerable.Range(0, random.Next(5)).Select(_ => RandomText(random)).Distinct()
            .Select(name => KeyValuePair.Create(name, RandomValue(random, depth - 1)))),
    };

    private static string RandomText(Random random)
    {
        var text = new StringBuilder();
        for (var length = random.Next(6); length > 0; length--)
        {
            var rune = random.Next(3) == 0 ? random.Next(0x80) : random.Next(0x11_0000);
            text.Append(Rune.IsValid(rune) ? new Rune(rune).ToString() : "x");
        }
        return text.ToString();
    }
}
