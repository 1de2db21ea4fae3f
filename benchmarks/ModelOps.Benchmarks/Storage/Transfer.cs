using System.Diagnostics;
using System.Security.Cryptography;
using ModelOps.Storage;

namespace ModelOps.Benchmarks.Storage;

/// <summary>A way to bring files somewhere and to read them again.</summary>
internal abstract class Transfer(string name, Transfer? against)
{
    private static readonly Transfer Copy = new FileCopy("copy", against: null, sync: false);
    private static readonly Transfer DurableCopy = new FileCopy("copy + fsync", against: null, sync: true);

    public static IReadOnlyList<Transfer> All { get; } =
    [
        Copy,
        DurableCopy,
        new StoreTransfer("files", DurableCopy, folder => new FileObjectStore(folder)),
        new StoreTransfer("files, encrypted", DurableCopy, folder => new EncryptedObjectStore(new FileObjectStore(folder), new(RandomNumberGenerator.GetBytes(MasterKeys.KeyBytes)))),
    ];

    public string Name => name;

    /// <summary>What the ratio compares with: a store's put is durable, so a copy that is.</summary>
    public Transfer Against => against ?? this;

    /// <returns>Seconds of all puts, and of reading all to the end.</returns>
    public async Task<(double Put, double Get)> RunAsync(Workload workload, WorkFolder place, CancellationToken cancellationToken)
    {
        var run = Open(place.Folder.FullName);
        var clock = Stopwatch.StartNew();
        for (var i = 0; i < workload.Files.Count; i++) await run.PutAsync(workload.Files[i], i, cancellationToken);
        var put = clock.Elapsed.TotalSeconds;
        clock.Restart();
        for (var i = 0; i < workload.Files.Count; i++)
        {
            await using var content = await run.OpenAsync(i, cancellationToken);
            await content.CopyToAsync(Stream.Null, cancellationToken);
        }
        return (put, clock.Elapsed.TotalSeconds);
    }

    protected abstract Run Open(string folder);

    protected abstract class Run
    {
        public abstract Task PutAsync(string file, int index, CancellationToken cancellationToken);

        public abstract Task<Stream> OpenAsync(int index, CancellationToken cancellationToken);

        protected static FileStream Read(string path) => new(path, FileMode.Open, FileAccess.Read, FileShare.Read, bufferSize: 0, useAsync: true);
    }
}

internal sealed class FileCopy(string name, Transfer? against, bool sync) : Transfer(name, against)
{
    protected override Run Open(string folder) => new CopyRun(folder, sync);

    private sealed class CopyRun(string folder, bool sync) : Run
    {
        public override async Task PutAsync(string file, int index, CancellationToken cancellationToken)
        {
            await using var source = Read(file);
            await using var target = new FileStream(PathOf(index), FileMode.CreateNew, FileAccess.Write, FileShare.None, bufferSize: 0, useAsync: true);
            await source.CopyToAsync(target, cancellationToken);
            if (sync) RandomAccess.FlushToDisk(target.SafeFileHandle);
        }

        public override Task<Stream> OpenAsync(int index, CancellationToken cancellationToken) => Task.FromResult<Stream>(Read(PathOf(index)));

        private string PathOf(int index) => Path.Combine(folder, $"{index}");
    }
}

internal sealed class StoreTransfer(string name, Transfer against, Func<string, IObjectStore> open) : Transfer(name, against)
{
    protected override Run Open(string folder) => new StoreRun(open(folder));

    private sealed class StoreRun(IObjectStore store) : Run
    {
        public override async Task PutAsync(string file, int index, CancellationToken cancellationToken)
        {
            await using var source = Read(file);
            await store.PutAsync(KeyOf(index), source, PutMode.IfAbsent, cancellationToken);
        }

        public override async Task<Stream> OpenAsync(int index, CancellationToken cancellationToken) =>
            await store.OpenReadAsync(KeyOf(index), cancellationToken: cancellationToken) ?? throw new FileNotFoundException(KeyOf(index));

        // As blobs are laid out, 256 folders.
        private static string KeyOf(int index) => $"blobs/{index % 256:x2}/{index}";
    }
}
