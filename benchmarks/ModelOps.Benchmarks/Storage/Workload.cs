namespace ModelOps.Benchmarks.Storage;

/// <param name="Size">Bytes of each file.</param>
internal sealed record Workload(IReadOnlyList<string> Files, long Size)
{
    private const int BlockBytes = 1 << 20;

    /// <summary>Files of random bytes: neither disk nor cipher may be helped by zeros.</summary>
    public static async Task<Workload> CreateAsync(WorkFolder work, string name, int count, long size, CancellationToken cancellationToken)
    {
        var random = new Random(1);
        var block = new byte[(int)Math.Min(BlockBytes, size)];
        var files = new List<string>();
        for (var i = 0; i < count; i++)
        {
            var path = Path.Combine(work.Folder.FullName, $"{name}-{i}");
            await using var file = File.Create(path);
            for (var left = size; left > 0; left -= block.Length)
            {
                random.NextBytes(block);
                await file.WriteAsync(block.AsMemory(0, (int)Math.Min(block.Length, left)), cancellationToken);
            }
            files.Add(path);
        }
        return new(files, size);
    }
}

/// <summary>A folder that goes with the measurement.</summary>
internal sealed class WorkFolder : IDisposable
{
    public WorkFolder(DirectoryInfo parent) => Folder = parent.CreateSubdirectory($"modelops-benchmark-{Guid.NewGuid():N}");

    public DirectoryInfo Folder { get; }

    public void Dispose() => Folder.Delete(recursive: true);
}
