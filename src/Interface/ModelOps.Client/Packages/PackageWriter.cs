using System.Diagnostics.CodeAnalysis;
using System.Formats.Tar;
using System.Text;

namespace ModelOps.Client;

/// <summary>Where an export goes. A folder or a tar on this machine appears whole or not at all.</summary>
internal abstract class PackageWriter : IAsyncDisposable
{
    /// <exception cref="ModelOpsException">There is something already.</exception>
    [SuppressMessage("Reliability", "CA2000", Justification = "the package owns its file")]
    public static PackageWriter Create(string path)
    {
        var full = Path.TrimEndingDirectorySeparator(Path.GetFullPath(path));
        if (Path.Exists(full))
        {
            throw new ModelOpsException(new Problem
            {
                Type = ProblemTypes.Conflict,
                Title = "Conflict",
                Detail = $"{full} exists already; an export replaces nothing: choose another name.",
            });
        }
        var partial = $"{full}.{Guid.NewGuid():N}.partial";
        return full.EndsWith(".tar", StringComparison.OrdinalIgnoreCase)
            ? new TarFilePackage(full, partial, new FileStream(partial, FileMode.CreateNew, FileAccess.ReadWrite, FileShare.None, bufferSize: 1 << 16, useAsync: true))
            : new FolderPackage(full, partial);
    }

    /// <summary>A tar.</summary>
    /// <param name="target">Stays the caller's.</param>
    public static PackageWriter Create(Stream target) => new TarPackage(target);

    public abstract Task AddAsync(string name, Stream content, CancellationToken cancellationToken);

    public async Task AddAsync(string name, byte[] content, CancellationToken cancellationToken)
    {
        using var stream = new MemoryStream(content);
        await AddAsync(name, stream, cancellationToken).ConfigureAwait(false);
    }

    public Task AddAsync(string name, string content, CancellationToken cancellationToken) =>
        AddAsync(name, Encoding.UTF8.GetBytes(content), cancellationToken);

    /// <summary>Gives it its name; without it, disposing leaves nothing behind.</summary>
    public abstract Task CompleteAsync();

    public abstract ValueTask DisposeAsync();

    private sealed class FolderPackage : PackageWriter
    {
        private readonly string path;
        private readonly string partial;

        public FolderPackage(string full, string temporary)
        {
            (path, partial) = (full, temporary);
            Directory.CreateDirectory(temporary);
        }

        public override async Task AddAsync(string name, Stream content, CancellationToken cancellationToken)
        {
            var target = Path.Combine(partial, name);
            Directory.CreateDirectory(Path.GetDirectoryName(target)!);
            var file = new FileStream(target, FileMode.CreateNew, FileAccess.Write, FileShare.None, bufferSize: 0, useAsync: true);
            await using (file.ConfigureAwait(false))
            {
                await content.CopyToAsync(file, cancellationToken).ConfigureAwait(false);
                RandomAccess.FlushToDisk(file.SafeFileHandle);
            }
        }

        public override Task CompleteAsync()
        {
            Directory.Move(partial, path);
            return Task.CompletedTask;
        }

        public override ValueTask DisposeAsync()
        {
            if (Directory.Exists(partial))
                Directory.Delete(partial, recursive: true);
            return ValueTask.CompletedTask;
        }
    }

    /// <summary>A tar on its way to a stream that is somebody else's. One that was not completed lacks the end mark, which readers miss.</summary>
    private class TarPackage(Stream target) : PackageWriter
    {
        [SuppressMessage("Usage", "CA2213", Justification = "disposing it writes the end mark: only a complete tar has one")]
        private readonly TarWriter tar = new(target, TarEntryFormat.Pax, leaveOpen: true);

        public override Task AddAsync(string name, Stream content, CancellationToken cancellationToken)
        {
            // A fixed time: the same artifact gives the same tar.
            var entry = new PaxTarEntry(TarEntryType.RegularFile, name) { DataStream = content, ModificationTime = DateTimeOffset.UnixEpoch };
            return tar.WriteEntryAsync(entry, cancellationToken);
        }

        public override Task CompleteAsync() => tar.DisposeAsync().AsTask();

        public override ValueTask DisposeAsync() => ValueTask.CompletedTask;
    }

    private sealed class TarFilePackage(string path, string partial, FileStream file) : TarPackage(file)
    {
        public override async Task CompleteAsync()
        {
            await base.CompleteAsync().ConfigureAwait(false);
            await file.FlushAsync().ConfigureAwait(false);
            RandomAccess.FlushToDisk(file.SafeFileHandle);
            await file.DisposeAsync().ConfigureAwait(false);
            File.Move(partial, path);
        }

        public override async ValueTask DisposeAsync()
        {
            if (File.Exists(partial)) // not complete
            {
                await file.DisposeAsync().ConfigureAwait(false);
                File.Delete(partial);
            }
            await base.DisposeAsync().ConfigureAwait(false);
        }
    }
}
