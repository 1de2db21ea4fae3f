using ModelOps.Tests.Repository;

namespace ModelOps.Tests.EndToEnd;

/// <summary>Stands between a server's processes and the calendar's clock, which it sets.</summary>
internal sealed class TestClock
{
    public const string Missing = "a clock that is set needs a C compiler: .ci/requirements --install cc";
    private readonly string file;

    private TestClock(string file, string library)
    {
        this.file = file;
        Environment = new(StringComparer.Ordinal) { ["LD_PRELOAD"] = library, ["MODELOPS_TEST_CLOCK"] = file };
    }

    /// <summary>Of the server.</summary>
    public Dictionary<string, string> Environment { get; }

    /// <returns>Null: there is no compiler; where CI is set that is a failure.</returns>
    public static async Task<TestClock?> CreateAsync(string folder, CancellationToken cancellationToken)
    {
        var path = (System.Environment.GetEnvironmentVariable("PATH") ?? "").Split(':');
        var compiler = new[] { "gcc", "clang" }.FirstOrDefault(name => Array.Exists(path, folder => File.Exists(Path.Combine(folder, name))));
        if (compiler is null) return System.Environment.GetEnvironmentVariable("CI") != "true" ? null : throw new InvalidOperationException(Missing);
        var library = Path.Combine(folder, "clock.so");
        var source = Path.Combine(RepositoryRoot.Path, "tests/ModelOps.Tests/EndToEnd/clock.c");
        await ProcessRun.ExpectSuccessAsync(compiler, ["-shared", "-fPIC", "-O2", "-o", library, source], folder, [], cancellationToken);
        var clock = new TestClock(Path.Combine(folder, "clock"), library);
        await clock.SetAsync(TimeSpan.Zero, cancellationToken);
        return clock;
    }

    /// <param name="ahead">Of the true time.</param>
    public async Task SetAsync(TimeSpan ahead, CancellationToken cancellationToken)
    {
        await using var target = new FileStream(file, FileMode.OpenOrCreate, FileAccess.Write, FileShare.ReadWrite); // in place: the processes have it mapped
        await target.WriteAsync(BitConverter.GetBytes((long)ahead.TotalSeconds), cancellationToken);
    }
}
