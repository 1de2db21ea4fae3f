namespace ModelOps.Worker.Hosting;

/// <summary>A folder for one activity, gone with it.</summary>
internal sealed class ScratchFolder : IDisposable
{
    public ScratchFolder(WorkerOptions options) => Path = Directory.CreateDirectory(System.IO.Path.Combine(options.Scratch, $"{Guid.NewGuid():N}")).FullName;

    public string Path { get; }

    public void Dispose() => Directory.Delete(Path, recursive: true);
}
