using System.Collections;
using System.ComponentModel.DataAnnotations;
using ModelOps.Server.Configuration;

namespace ModelOps.Tests.Configuration;

public enum Flavor
{
    Plain,
    ExtraHot,
}

public sealed record Ring
{
    public required string Name { get; init; }

    [Range(1, 9)]
    public int Size { get; init; } = 3;
}

public sealed record Deep
{
    public TimeSpan Pause { get; init; } = TimeSpan.FromSeconds(2);

    public Uri? Address { get; init; }

    [DataType(DataType.Password), MinLength(8)]
    public string? Password { get; init; }
}

public sealed record Kitchen : IValidatableObject
{
    [Range(0, 65535)]
    public int Port { get; init; } = 8000;

    public int? Spare { get; init; }

    public double Ratio { get; init; } = 0.5;

    public bool Open { get; init; } = true;

    public Flavor Flavor { get; init; }

    public Deep Deep { get; init; } = new();

    public Deep? Second { get; init; }

    public IReadOnlyList<string> Names { get; init; } = ["a", "b"];

    public IReadOnlyList<Ring> Rings { get; init; } = [];

    public IReadOnlyDictionary<string, int> Prices { get; init; } = new Dictionary<string, int>(StringComparer.Ordinal);

    public IReadOnlyDictionary<string, Ring> Named { get; init; } = new Dictionary<string, Ring>(StringComparer.Ordinal);

    public IEnumerable<ValidationResult> Validate(ValidationContext validationContext)
    {
        if (!Open && Port != 0) yield return new("a closed kitchen has no port", [nameof(Port), nameof(Open)]);
    }
}

public sealed record Restaurant
{
    public Kitchen Kitchen { get; init; } = new();
}

/// <summary>Filling option records from file, environment and flags.</summary>
public sealed class ConfigBinderTests
{
    [Fact]
    public void Bind_NothingGiven_IsTheDefaults()
    {
        var bound = Bind();
        Assert.Empty(bound.Errors);
        Assert.Equal(8000, bound.Value.Kitchen.Port);
        Assert.Equal(["a", "b"], bound.Value.Kitchen.Names);
        Assert.Null(bound.Value.Kitchen.Second);
        Assert.All(bound.Entries, entry => Assert.Equal("default", entry.Source));
        Assert.Contains(bound.Entries, entry => entry is { Key: "kitchen:deep:pause", Value: "2s" });
    }

    [Fact]
    public void Bind_SameKeyEverywhere_TheFlagWinsThenTheEnvironmentThenTheFile()
    {
        const string File = """{ "kitchen": { "port": 1, "spare": 1, "ratio": 0.1 } } // a comment""";
        var bound = Bind(File, [("MODELOPS__KITCHEN__PORT", "2"), ("MODELOPS__KITCHEN__SPARE", "2")], ("--port", "kitchen:port", "3"));
        Assert.Empty(bound.Errors);
        Assert.Equal((3, 2, 0.1), (bound.Value.Kitchen.Port, bound.Value.Kitchen.Spare, bound.Value.Kitchen.Ratio));
        Assert.Equal("flag --port", Entry(bound, "kitchen:port").Source);
        Assert.Equal("environment MODELOPS__KITCHEN__SPARE", Entry(bound, "kitchen:spare").Source);
        Assert.EndsWith("modelops.json", Entry(bound, "kitchen:ratio").Source, StringComparison.Ordinal);
    }

    [Fact]
    public void Bind_EveryShape_IsRead()
    {
        const string File = """
            { "kitchen": { "open": false, "port": 0, "flavor": "extra_hot", "names": ["x", "y", "z"],
              "deep": { "pause": "1.5s", "address": "https://host:1/", "password": "long enough" }, "second": { "pause": "12h" },
              "rings": [ { "name": "first" }, { "name": "second", "size": 9 } ],
              "prices": { "soup": 3 }, "named": { "big": { "name": "B", "size": 8 } } } }
            """;
        var bound = Bind(File, [("MODELOPS__KITCHEN__PRICES__CAKE", "4")]);
        Assert.Empty(bound.Errors);
        var kitchen = bound.Value.Kitchen;
        Assert.Equal((false, Flavor.ExtraHot), (kitchen.Open, kitchen.Flavor));
        Assert.Equal(["x", "y", "z"], kitchen.Names);
        Assert.Equal((TimeSpan.FromSeconds(1.5), new Uri("https://host:1/"), "long enough"), (kitchen.Deep.Pause, kitchen.Deep.Address, kitchen.Deep.Password));
        Assert.Equal(TimeSpan.FromHours(12), kitchen.Second!.Pause);
        Assert.Equal([new Ring { Name = "first" }, new Ring { Name = "second", Size = 9 }], kitchen.Rings);
        Assert.Equal([("cake", 4), ("soup", 3)], kitchen.Prices.Select(price => (price.Key, price.Value)).Order());
        Assert.Equal(new Ring { Name = "B", Size = 8 }, kitchen.Named["big"]);
    }

    [Theory]
    [InlineData("p,q", new[] { "p", "q" })]
    [InlineData("one", new[] { "one" })]
    public void Bind_ListAsTextInTheEnvironment_ReplacesTheFilesList(string text, string[] expected)
    {
        var bound = Bind("""{ "kitchen": { "names": ["x", "y", "z"] } }""", [("MODELOPS__KITCHEN__NAMES", text)]);
        Assert.Equal(expected, bound.Value.Kitchen.Names);
    }

    [Fact]
    public void Bind_EmptyListInTheFile_IsEmptyNotTheDefault() =>
        Assert.Empty(Bind("""{ "kitchen": { "names": [] } }""").Value.Kitchen.Names);

    [Fact]
    public void Bind_ManyFaults_TellsEveryOneWithKeySourceAndWhatIsAllowed()
    {
        const string File = """
            { "kitchen": { "port": 70000, "flavour": "mild", "open": "maybe", "deep": { "pause": "soon", "password": "tooshort1" },
              "rings": [ { "size": 10 } ] }, "restroom": { "doors": 2 } }
            """;
        var bound = Bind(File, [("MODELOPS__KITCHEN__FLAVOR", "mild"), ("MODELOPS__KITCHEN__DEEP__PASSWORD", "short")]);
        AssertError(bound, "kitchen:port", "'70000'", "modelops.json", "from 0 to 65535");
        AssertError(bound, "kitchen:flavour", "modelops.json", "did you mean kitchen:flavor?");
        AssertError(bound, "kitchen:open", "'maybe'", "true or false");
        AssertError(bound, "kitchen:flavor", "environment MODELOPS__KITCHEN__FLAVOR", "plain, extra_hot");
        AssertError(bound, "kitchen:deep:pause", "'soon'", "30s");
        AssertError(bound, "kitchen:deep:password", "environment", "at least 8 long");
        AssertError(bound, "kitchen:rings:0:name", "needs a value");
        AssertError(bound, "kitchen:rings:0:size", "from 1 to 9");
        AssertError(bound, "restroom:doors", "no such key");
        Assert.Equal(9, bound.Errors.Count);
        Assert.DoesNotContain(bound.Errors, error => error.Contains("short'", StringComparison.Ordinal));
    }

    [Fact]
    public void Bind_OwnRuleBroken_NamesBothKeys() =>
        Assert.Equal("kitchen:port and kitchen:open: a closed kitchen has no port", Assert.Single(Bind("""{ "kitchen": { "open": false } }""").Errors));

    [Theory]
    [InlineData("""{ "kitchen": 3 }""", "it is a section of keys, not a value")]
    [InlineData("""{ "kitchen": { "port": { "a": 1 } } }""", "kitchen:port:a")]
    [InlineData("""{ "kitchen": { "port": 1, "port": 2 } }""", "it is not valid JSON")]
    [InlineData("""{ "kitchen": { "rings": "x" } }""", "it is a list of sections, not a value")]
    [InlineData("""[1]""", "the document must be an object")]
    [InlineData("""{ "kitchen": """, "it is not valid JSON")]
    public void Bind_WrongShape_SaysSo(string file, string expected) =>
        Assert.Contains(expected, Assert.Single(Bind(file).Errors), StringComparison.Ordinal);

    [Fact]
    public void Bind_ListWithAGap_SaysHowListsAreNumbered() =>
        Assert.Contains("without gaps", Assert.Single(Bind("{}", [("MODELOPS__KITCHEN__NAMES__1", "x")]).Errors), StringComparison.Ordinal);

    [Fact]
    public void Bind_Secret_IsNeverShown()
    {
        var bound = Bind("""{ "kitchen": { "deep": { "password": "very secret" } } }""");
        Assert.Equal("very secret", bound.Value.Kitchen.Deep.Password);
        Assert.Equal("(hidden)", Entry(bound, "kitchen:deep:password").Value);
        Assert.True(Entry(bound, "kitchen:deep:password").Secret);
    }

    [Theory]
    [InlineData("250ms", 0.25)]
    [InlineData("1.5m", 90)]
    [InlineData("30d", 30 * 86400)]
    [InlineData("00:01:00", 60)]
    public void Bind_Times_AreReadAndWrittenBackTheSame(string text, double seconds)
    {
        var bound = Bind("{}", [("MODELOPS__KITCHEN__DEEP__PAUSE", text)]);
        Assert.Equal(TimeSpan.FromSeconds(seconds), bound.Value.Kitchen.Deep.Pause);
        var again = Bind("{}", [("MODELOPS__KITCHEN__DEEP__PAUSE", Entry(bound, "kitchen:deep:pause").Value!)]);
        Assert.Equal(bound.Value.Kitchen.Deep.Pause, again.Value.Kitchen.Deep.Pause);
    }

    private static Bound<Restaurant> Bind(
        string file = "{}", (string Name, string Value)[]? environment = null, params (string Flag, string Key, string Value)[] flags)
    {
        var folder = Directory.CreateTempSubdirectory("modelops-config-");
        try
        {
            var path = Path.Combine(folder.FullName, "modelops.json");
            File.WriteAllText(path, file);
            var errors = new List<string>();
            IDictionary variables = (environment ?? []).ToDictionary(variable => variable.Name, variable => variable.Value, StringComparer.Ordinal);
            var input = ConfigInput.OfFile(path, errors);
            var bound = ConfigBinder.Bind<Restaurant>(ConfigInput.OfFlags(flags), ConfigInput.OfEnvironment(variables), input);
            return bound with { Errors = [.. errors, .. bound.Errors] };
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    private static ConfigEntry Entry(Bound<Restaurant> bound, string key) => bound.Entries.Single(entry => entry.Key == key);

    private static void AssertError(Bound<Restaurant> bound, string key, params string[] parts)
    {
        var error = Assert.Single(bound.Errors, error => error.StartsWith(key + " ", StringComparison.Ordinal) || error.StartsWith(key + ":", StringComparison.Ordinal));
        Assert.All(parts, part => Assert.Contains(part, error, StringComparison.Ordinal));
    }
}
