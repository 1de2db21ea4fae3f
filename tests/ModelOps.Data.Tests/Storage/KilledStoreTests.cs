using System.Diagnostics;
using System.Runtime.InteropServices;
using ModelOps.ObjectWriter;
using ModelOps.Storage;

namespace ModelOps.Data.Tests.Storage;

/// <summary>
/// A process that puts objects from four threads is killed with SIGKILL twenty times, each time after a seeded number of acknowledged puts and
/// therefore in the middle of others. Every object's bytes follow from its key, so that a part of one, or another's, is found.
/// </summary>
public sealed class KilledStoreTests
{
    private const int Rounds = 20;
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Put_ProcessKilledTwentyTimes_KeepsWhatWasAcknowledgedAndNothingPartial()
    {
        var root = Directory.CreateTempSubdirectory("modelops-killed-").FullName;
        try
        {
            var random = new Random(11);
            var acknowledged = new HashSet<string>();
            var partial = 0;
            for (var round = 0; round < Rounds; round++)
            {
                acknowledged.UnionWith(await PutUntilKilledAsync(root, round, random.Next(1, 60)));
                partial += Unfinished(root);
                var store = new FileObjectStore(root);
                Assert.Equal(0, Unfinished(root));
                var listed = await store.ListAsync("", cancellationToken: Cancel).ToListAsync(Cancel);
                foreach (var info in listed) await AssertWholeAsync(store, info);
                Assert.Superset(acknowledged, listed.Select(info => info.Key).ToHashSet());
            }
            Assert.True(partial > 0, "no put was interrupted: the test does not hit what it is for");
        }
        finally
        {
            Directory.Delete(root, recursive: true);
        }
    }

    private static int Unfinished(string root) => Directory.GetFiles(Path.Combine(root, ".incoming"), "*", SearchOption.AllDirectories).Length;

    private static async Task<IReadOnlyList<string>> PutUntilKilledAsync(string root, int round, int acknowledgements)
    {
        var program = Path.Combine(AppContext.BaseDirectory, "../../ModelOps.ObjectWriter/release/ModelOps.ObjectWriter");
        var start = new ProcessStartInfo(program, [root, $"{round}"]) { UseShellExecute = false, RedirectStandardOutput = true };
        start.Environment["DOTNET_ROOT"] = Path.GetFullPath(Path.Combine(RuntimeEnvironment.GetRuntimeDirectory(), "../../.."));
        using var child = Process.Start(start)!;
        var keys = new List<string>();
        try
        {
            while (keys.Count < acknowledgements)
                keys.Add(await child.StandardOutput.ReadLineAsync(Cancel).AsTask().WaitAsync(Patience, Cancel) ?? throw new InvalidOperationException("the child ended by itself"));
        }
        finally
        {
            child.Kill();
        }
        // What it had acknowledged when it died and we had not read; the last line may be cut.
        var rest = (await child.StandardOutput.ReadToEndAsync(Cancel).WaitAsync(Patience, Cancel)).Split('\n');
        await child.WaitForExitAsync(Cancel).WaitAsync(Patience, Cancel);
        Assert.Equal(128 + 9, child.ExitCode);
        return [.. keys, .. rest[..^1]];
    }

    private static async Task AssertWholeAsync(FileObjectStore store, ObjectInfo info)
    {
        await using var stream = (await store.OpenReadAsync(info.Key, cancellationToken: Cancel))!;
        using var read = new MemoryStream();
        await stream.CopyToAsync(read, Cancel);
        Assert.True(ObjectContent.IsWhole(info.Key, read.ToArray()), $"{info.Key} is not whole: {read.Length} bytes");
    }
}
