using Microsoft.Extensions.Logging;
using ModelOps.Ggml;
using ModelOps.Ggml.Native;

namespace ModelOps.Services.Tests.Ggml;

public sealed class GgmlRuntimeTests(GgmlFixture fixture) : IClassFixture<GgmlFixture>
{
    [Fact]
    public void Read_PinnedBuild_HasNoDifference()
    {
        GgmlRuntime.Initialize();

        Assert.All(NativeBuild.Read(), fact => Assert.Equal(fact.Expected, fact.Found));
    }

    [Fact]
    public void Verify_OtherBuild_ThrowsWithAllDifferences()
    {
        GgmlRuntime.Initialize();
        var facts = NativeBuild.Read().Select(fact => fact.Name is "ggml_commit" or "end of llama_context_params"
            ? fact with { Found = "other" }
            : fact);

        var message = Assert.Throws<GgmlException>(() => NativeBuild.Verify([.. facts])).Message;

        Assert.Contains("ggml_commit: expected '0ad4a86', found 'other'", message, StringComparison.Ordinal);
        Assert.Contains("end of llama_context_params: expected '160'", message, StringComparison.Ordinal);
        Assert.DoesNotContain("llama_version", message, StringComparison.Ordinal);
        Assert.Contains("dotnet build native", message, StringComparison.Ordinal);
    }

    [Fact]
    public void Initialize_WithLogger_ReceivesWholeNativeLines()
    {
        var lines = new LineLogger();
        GgmlRuntime.Initialize(lines);
        LlamaModel.Load(fixture.ModelPath).Dispose();
        GgmlRuntime.Initialize(Microsoft.Extensions.Logging.Abstractions.NullLogger.Instance);

        Assert.Contains(lines.Snapshot(), line => line.Contains("general.architecture", StringComparison.Ordinal));
        Assert.DoesNotContain(lines.Snapshot(), line => line.Contains('\n', StringComparison.Ordinal));
    }

    private sealed class LineLogger : ILogger
    {
        private readonly Lock gate = new();
        private readonly List<string> lines = [];

        public string[] Snapshot()
        {
            lock (gate) return [.. lines];
        }

        public IDisposable? BeginScope<TState>(TState state) where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(
            LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            lock (gate) lines.Add(formatter(state, exception));
        }
    }
}
