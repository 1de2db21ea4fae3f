using ModelOps.Server.Configuration;
using ModelOps.Server.Hosting;
using ModelOps.Server.Workers;
using ModelOps.Workflows;

namespace ModelOps.Tests.Workers;

public sealed class WorkersOptionsTests
{
    [Fact]
    public void Load_WithFaults_NamesThemAll()
    {
        var bound = Load(
            ("MODELOPS__WORKERS__DATA__MIN", "3"), ("MODELOPS__WORKERS__INFERENCE__MAX", "0"), ("MODELOPS__WORKERS__TRAINING__THREADS", "0"),
            ("MODELOPS__WORKERS__FIRST_PAUSE", "1m"), ("MODELOPS__WORKERS__IDEL_STOP", "1m"));
        Assert.Equal(5, bound.Errors.Count);
        Assert.Contains(bound.Errors, error => error.Contains("workers:data: min is 3 and max 1", StringComparison.Ordinal));
        Assert.Contains(bound.Errors, error => error.Contains("workers:inference: max is 0; deployments are loaded in processes of this server: at least 1", StringComparison.Ordinal));
        Assert.Contains(bound.Errors, error => error.Contains("workers:training:threads is '0'", StringComparison.Ordinal));
        Assert.Contains(bound.Errors, error => error.Contains("workers:first_pause: it is longer than longest_pause", StringComparison.Ordinal));
        Assert.Contains(bound.Errors, error => error.Contains("did you mean workers:idle_stop?", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData(1, 1, null, 1)]
    [InlineData(2, 1, null, 1)]
    [InlineData(16, 1, null, 15)]
    [InlineData(16, 4, null, 3)]
    [InlineData(4, 8, null, 1)]
    [InlineData(16, 4, 7, 7)]
    public void ThreadsOf_ARole_IsItsShareOfTheCoresButOne(int cores, int max, int? threads, int expected) =>
        Assert.Equal(expected, new WorkersOptions { Training = new() { Max = max, Threads = threads } }.ThreadsOf(WorkerRole.Training, cores));

    private static Bound<ServerConfig> Load(params (string Name, string Value)[] variables) => ServerConfig.Load(
        new ServerArguments { Home = "/nowhere" }, variables.ToDictionary(variable => variable.Name, variable => variable.Value, StringComparer.Ordinal));
}
