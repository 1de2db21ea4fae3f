using ModelOps.Tests.EndToEnd;
using ModelOps.Tests.Repository;
using YamlDotNet.RepresentationModel;

namespace ModelOps.Tests.Telemetry;

/// <summary>What deploy/observability ships: promtool on what is for Prometheus, a look at what is for others.</summary>
public sealed class ShippedRulesTests
{
    [Fact]
    public async Task Promtool_OnConfigurationRulesAndTheirTests_FindsNothing()
    {
        PrometheusServer.Require();
        var cancel = TestContext.Current.CancellationToken;
        var folder = Directory.CreateTempSubdirectory("modelops-prometheus-").FullName;
        await PrometheusServer.CopyAsync(new Uri("https://127.0.0.1:8000"), folder, cancel);
        foreach (var file in (string[])["modelops-ca.crt", "modelops-api-key"]) await File.WriteAllTextAsync(Path.Combine(folder, file), "", cancel); // promtool asks that they are there
        foreach (var (arguments, answer) in new (string[], string)[]
        {
            (["check", "config", "prometheus.yml"], "prometheus.yml is valid prometheus config file syntax"),
            (["check", "rules", "--lint=all", "--lint-fatal", "rules.yml"], "rules found"),
            (["test", "rules", "rules.test.yml"], "SUCCESS"),
        })
            Assert.Contains(answer, await ProcessRun.ExpectSuccessAsync("promtool", arguments, folder, [], cancel), StringComparison.Ordinal);
        Directory.Delete(folder, recursive: true);
    }

    [Fact]
    public void FilesForOthers_AreYamlWhosePipelinesNameWhatIsThere()
    {
        var files = RepositoryRoot.Files("*.yaml").Where(path => path.StartsWith("deploy/observability/", StringComparison.Ordinal)).ToDictionary(path => Path.GetRelativePath("deploy/observability", path), Read, StringComparer.Ordinal);
        Assert.Superset(((string[])["otel-collector.yaml", "jaeger.yaml", "loki.yaml"]).ToHashSet(StringComparer.Ordinal), files.Keys.ToHashSet(StringComparer.Ordinal));
        foreach (var file in (string[])["otel-collector.yaml", "jaeger.yaml"])
        {
            var root = files[file];
            var service = root["service"];
            var named = ((YamlMappingNode)service["pipelines"]).Children.SelectMany(pipeline => Names((YamlMappingNode)pipeline.Value))
                .Concat(Names((YamlMappingNode)service).Where(name => name.Section == "extensions")).ToList();
            Assert.NotEmpty(named);
            Assert.All(named, name => Assert.True(((YamlMappingNode)root[name.Section]).Children.ContainsKey(name.Part), $"{file} names {name}, which it does not have"));
        }

        static YamlMappingNode Read(string path)
        {
            var stream = new YamlStream();
            using var text = File.OpenText(Path.Combine(RepositoryRoot.Path, path));
            stream.Load(text);
            return (YamlMappingNode)Assert.Single(stream.Documents).RootNode;
        }

        static IEnumerable<(string Section, string Part)> Names(YamlMappingNode lists) =>
            from list in lists.Children where list.Value is YamlSequenceNode from part in (YamlSequenceNode)list.Value select ($"{list.Key}", $"{part}");
    }
}
