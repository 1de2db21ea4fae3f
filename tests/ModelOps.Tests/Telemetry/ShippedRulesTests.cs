using ModelOps.Tests.EndToEnd;

namespace ModelOps.Tests.Telemetry;

/// <summary>promtool on what deploy/observability ships for Prometheus.</summary>
public sealed class ShippedRulesTests
{
    [Fact]
    public async Task Promtool_OnConfigurationRulesAndTheirTests_FindsNothing()
    {
        PrometheusServer.Require();
        var cancel = TestContext.Current.CancellationToken;
        var authority = Path.GetTempFileName();
        var folder = await PrometheusServer.ConfigureAsync(new Uri("https://127.0.0.1:8000"), authority, "mo_key", cancel);
        foreach (var (arguments, answer) in new (string[], string)[]
        {
            (["check", "config", "prometheus.yml"], "prometheus.yml is valid prometheus config file syntax"),
            (["check", "rules", "--lint=all", "--lint-fatal", "rules.yml"], "rules found"),
            (["test", "rules", "rules.test.yml"], "SUCCESS"),
        })
            Assert.Contains(answer, await ProcessRun.ExpectSuccessAsync("promtool", arguments, folder, [], cancel), StringComparison.Ordinal);
        Directory.Delete(folder, recursive: true);
        File.Delete(authority);
    }
}
