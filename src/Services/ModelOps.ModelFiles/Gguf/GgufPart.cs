using System.IO.MemoryMappedFiles;
using Microsoft.Win32.SafeHandles;

namespace ModelOps.ModelFiles.Gguf;

/// <summary>One file of a GGUF model: its open handle and header, and the mapping of it once that is asked for.</summary>
internal sealed class GgufPart : IDisposable
{
    private readonly SafeFileHandle handle;
    private readonly Lazy<MemoryMappedFile> mapping;

    private GgufPart(string path, SafeFileHandle handle, GgufHeader header)
    {
        Path = path;
        this.handle = handle;
        Header = header;
        mapping = new(() => MemoryMappedFile.CreateFromFile(handle, mapName: null, capacity: 0, MemoryMappedFileAccess.Read, HandleInheritability.None, leaveOpen: true));
    }

    public string Path { get; }

    public GgufHeader Header { get; }

    public static GgufPart Open(string path)
    {
        var opened = File.OpenHandle(path);
        try
        {
            return new GgufPart(path, opened, GgufHeader.Read(path, opened));
        }
        catch
        {
            opened.Dispose();
            throw;
        }
    }

    public void Read(GgufTensorInfo tensor, Span<byte> destination) => FileReads.ReadExactly(Path, handle, tensor.Offset, destination);

    /// <summary>The tensor's bytes in the page cache; nothing is copied until they are read.</summary>
    public Stream Map(GgufTensorInfo tensor) =>
        tensor.Length == 0 ? Stream.Null : mapping.Value.CreateViewStream(tensor.Offset, tensor.Length, MemoryMappedFileAccess.Read);

    public void Dispose()
    {
        if (mapping.IsValueCreated) mapping.Value.Dispose();
        handle.Dispose();
    }
}
