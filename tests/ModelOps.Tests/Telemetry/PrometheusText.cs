using System.Globalization;
using System.Text.RegularExpressions;

namespace ModelOps.Tests.Telemetry;

/// <summary>A strict reader of Prometheus' text format, version 0.0.4: every line must be what the format allows, and histograms must add up.</summary>
internal static partial class PrometheusText
{
    public static IReadOnlyList<Sample> Parse(string text)
    {
        Assert.EndsWith("\n", text, StringComparison.Ordinal);
        var samples = new List<Sample>();
        var types = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var line in text.Split('\n', StringSplitOptions.RemoveEmptyEntries))
        {
            if (TypeLine().Match(line) is { Success: true } type) Assert.True(types.TryAdd(type.Groups["name"].Value, type.Groups["type"].Value), $"two types: {line}");
            else if (line.StartsWith('#')) Assert.Matches(CommentLine(), line);
            else samples.Add(ParseSample(line));
        }
        Assert.All(samples, sample => Assert.True(types.ContainsKey(sample.Name) || types.GetValueOrDefault(Family(sample.Name)) == "histogram", $"no type for {sample.Name}"));
        Assert.Equal(samples.Count, samples.Select(sample => (sample.Name, Key(sample))).Distinct().Count());
        foreach (var family in types.Where(type => type.Value == "histogram").Select(type => type.Key)) CheckHistogram(family, samples);
        return samples;
    }

    private static void CheckHistogram(string family, List<Sample> samples)
    {
        foreach (var series in samples.Where(sample => sample.Name == family + "_bucket").GroupBy(sample => Key(sample, without: "le"), StringComparer.Ordinal))
        {
            var buckets = series.ToList();
            Assert.Equal("+Inf", buckets[^1].Labels["le"]);
            Assert.Equal(buckets.Select(bucket => bucket.Value).Order(), buckets.Select(bucket => bucket.Value));
            Assert.Equal(buckets[^1].Value, samples.Single(sample => sample.Name == family + "_count" && Key(sample) == series.Key).Value);
        }
    }

    private static string Key(Sample sample, string? without = null) =>
        string.Join(';', sample.Labels.Where(label => label.Key != without).OrderBy(label => label.Key, StringComparer.Ordinal).Select(label => $"{label.Key}={label.Value}"));

    private static string Family(string name) => Suffix().Replace(name, "");

    private static Sample ParseSample(string line)
    {
        var match = SampleLine().Match(line);
        Assert.True(match.Success, $"not a sample: {line}");
        var labels = match.Groups["label"].Captures.Zip(match.Groups["value"].Captures).ToDictionary(pair => pair.First.Value, pair => pair.Second.Value, StringComparer.Ordinal);
        var number = match.Groups["number"].Value;
        var value = number switch
        {
            "+Inf" => double.PositiveInfinity,
            "-Inf" => double.NegativeInfinity,
            _ => double.Parse(number, CultureInfo.InvariantCulture),
        };
        return new Sample(match.Groups["name"].Value, labels, value);
    }

    [GeneratedRegex("^# TYPE (?<name>[a-zA-Z_:][a-zA-Z0-9_:]*) (?<type>counter|gauge|histogram|summary|untyped)$", RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex TypeLine();

    [GeneratedRegex("^# ((HELP|UNIT) [a-zA-Z_:][a-zA-Z0-9_:]* .*|EOF)$", RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex CommentLine();

    [GeneratedRegex(
        """^(?<name>[a-zA-Z_:][a-zA-Z0-9_:]*)(\{((?<label>[a-zA-Z_][a-zA-Z0-9_]*)="(?<value>([^"\\]|\\[\\"n])*)",?)*\})? (?<number>[+-]Inf|NaN|[+-]?[0-9.eE+-]+)( [0-9]+)?$""",
        RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex SampleLine();

    [GeneratedRegex("_(bucket|sum|count)$", RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex Suffix();
}

internal sealed record Sample(string Name, IReadOnlyDictionary<string, string> Labels, double Value);
