using System.Text.Json;
using ModelOps.Registry;

namespace ModelOps.Data.Tests.Registry;

public sealed class ManifestRulesTests
{
    private static readonly string digest = new('a', 64);

    private static readonly ArtifactManifest valid = new()
    {
        Name = "tiny-llama.v2",
        Version = "1.0-rc_1",
        Kind = ArtifactKinds.Model,
        Files = [new ManifestFile("weights/model.safetensors", 12, digest)],
        Parents = [new ManifestParent("base", "tiny@1", digest)],
        CreatedBy = "ada",
        CreatedAt = DateTimeOffset.UnixEpoch,
    };

    [Fact]
    public void Check_ValidManifest_FindsNothing() => Assert.Empty(ManifestRules.Check(valid));

    [Theory]
    [InlineData("")]
    [InlineData("Upper")]
    [InlineData("-dash")]
    [InlineData("a/b")]
    [InlineData("a\n")]
    [InlineData("é")]
    public void Check_BadName_NamesIt(string name) =>
        Assert.StartsWith($"name '{name}'", Assert.Single(ManifestRules.Check(valid with { Name = name })), StringComparison.Ordinal);

    [Fact]
    public void Check_LongestNameAndVersion_AreAllowedAndNoLonger()
    {
        Assert.Empty(ManifestRules.Check(valid with { Name = new string('a', 96), Version = new string('1', 64) }));
        Assert.Equal(2, ManifestRules.Check(valid with { Name = new string('a', 97), Version = new string('1', 65) }).Count);
    }

    [Theory]
    [InlineData("")]
    [InlineData("/etc/passwd")]
    [InlineData("../up")]
    [InlineData("a/../../b")]
    [InlineData("a//b")]
    [InlineData("./a")]
    [InlineData("a/")]
    [InlineData("a\\b")]
    [InlineData("c:a")]
    [InlineData("a\0b")]
    [InlineData("a\ud800")]
    public void Check_UnsafePath_NamesTheFile(string path)
    {
        var error = Assert.Single(ManifestRules.Check(valid with { Files = [new ManifestFile(path, 1, digest)] }));
        Assert.StartsWith($"file '{path}'", error, StringComparison.Ordinal);
    }

    [Fact]
    public void Check_ManyFaults_ReportsEveryOne()
    {
        var errors = ManifestRules.Check(valid with
        {
            SchemaVersion = 2,
            Name = "?",
            Version = "",
            Kind = "poem",
            Files =
            [
                new ManifestFile("a", -1, "xyz"), new ManifestFile("a", 1, digest), new ManifestFile("a/b", 1, digest.ToUpperInvariant()),
            ],
            Parents = [new("BASE", "tiny", "0"), new("base", "x@1", digest), new("base", "x@1", digest)],
            Metrics = new Dictionary<string, double> { ["loss"] = double.NaN },
            Recipe = JsonElement.Parse("""{"a":1,"a":2}"""),
            CreatedBy = " ",
        });
        string[] beginnings =
        [
            "schema version 2", "name '?'", "version ''", "kind 'poem'", "file 'a': size -1", "file 'a': sha256 'xyz'",
            "file 'a': it is listed twice", "file 'a/b': 'a' is a file", "file 'a/b': sha256", "parent 'tiny': role 'BASE'",
            "parent 'tiny': write name@version", "parent 'tiny': digest '0'", "parent 'x@1': it is listed twice", "created_by", "metric 'loss'", "recipe $",
        ];
        Assert.Equal(beginnings.Length, errors.Count);
        Assert.All(beginnings.Zip(errors), pair => Assert.StartsWith(pair.First, pair.Second, StringComparison.Ordinal));
    }

    [Fact]
    public void ToCanonicalBytes_SameContentInAnotherOrder_IsTheSame()
    {
        var one = valid with
        {
            Metrics = new Dictionary<string, double> { ["a"] = 1, ["b"] = 2 },
            Recipe = JsonElement.Parse("""{"x":1.0,"y":2}"""),
        };
        var other = valid with
        {
            Metrics = new Dictionary<string, double> { ["b"] = 2, ["a"] = 1 },
            Recipe = JsonElement.Parse("""{"y":2,"x":1}"""),
        };
        Assert.Equal(one.ToCanonicalBytes(), other.ToCanonicalBytes());
    }
}
