using System.Diagnostics.CodeAnalysis;
using System.Security.Cryptography;
using System.Text;
using ModelOps.Storage;
using ModelOps.Tables.Delta;

namespace ModelOps.Tables.Datasets.Queries;

/// <summary>
/// Objects as files that DuckDB can open: the store's own where it has them, otherwise copies, kept for the next query up to a size; those used
/// longest ago go first. The copies are of objects that never change. They lie there as they are, of an encrypted store too, for this user's eyes
/// alone, and go with this object or at its next start.
/// </summary>
public sealed class TableFiles : IDisposable
{
    private readonly IObjectStore store;
    private readonly string folder;
    private readonly long capacity;
    private readonly Lock gate = new();
    private readonly Dictionary<string, Copy> copies = new(StringComparer.Ordinal);
    private long bytes;
    private long uses;

    /// <param name="folder">For copies alone; emptied.</param>
    /// <param name="capacity">Bytes.</param>
    public TableFiles(IObjectStore store, string folder, long capacity)
    {
        (this.store, this.folder, this.capacity) = (store, folder, capacity);
        Dispose();
    }

    /// <returns>null: copies of them would be larger than allowed.</returns>
    /// <exception cref="DeltaException">There is no such object.</exception>
    [SuppressMessage("Reliability", "CA2000", Justification = "the caller disposes the lease that it gets")]
    public async Task<Lease?> OpenAsync(IReadOnlyList<(string Key, long Size)> objects, CancellationToken cancellationToken)
    {
        var (lease, complete) = (new Lease(this), false);
        try
        {
            foreach (var (key, size) in objects)
            {
                if (store.LocalPath(key) is { } path) lease.Paths.Add(path);
                else if (Take(key, size) is { } copy) lease.Add(copy);
                else return null;
            }
            foreach (var copy in lease.Copies) await copy.FillAsync(store, cancellationToken).ConfigureAwait(false);
            complete = true;
            return lease;
        }
        finally
        {
            if (!complete) lease.Dispose();
        }
    }

    public void Dispose()
    {
        if (Directory.Exists(folder)) Directory.Delete(folder, recursive: true);
    }

    private Copy? Take(string key, long size)
    {
        lock (gate)
        {
            if (!copies.TryGetValue(key, out var copy))
            {
                while (bytes + size > capacity)
                {
                    if (copies.Values.Where(other => other.Users == 0).MinBy(other => other.LastUse) is not { } oldest) return null;
                    Drop(oldest);
                }
                Directory.CreateDirectory(folder, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
                copy = new(key, Path.Combine(folder, Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(key)))), size);
                copies.Add(key, copy);
                bytes += size;
            }
            copy.Users++;
            copy.LastUse = ++uses;
            return copy;
        }
    }

    private void Return(Copy copy)
    {
        lock (gate)
            if (--copy.Users == 0 && !copy.IsFilled) Drop(copy);
    }

    private void Drop(Copy copy)
    {
        copies.Remove(copy.Key);
        bytes -= copy.Size;
        copy.Dispose();
    }

    /// <summary>The files stay until it is disposed.</summary>
    public sealed class Lease : IDisposable
    {
        private readonly TableFiles owner;

        internal Lease(TableFiles owner) => this.owner = owner;

        internal List<string> Paths { get; } = [];

        internal List<Copy> Copies { get; } = [];

        /// <summary>In the order of the objects.</summary>
        public IReadOnlyList<string> Files => Paths;

        public void Dispose()
        {
            foreach (var copy in Copies) owner.Return(copy);
            Copies.Clear();
        }

        internal void Add(Copy copy)
        {
            Paths.Add(copy.Path);
            Copies.Add(copy);
        }
    }

    internal sealed class Copy(string key, string path, long size) : IDisposable
    {
        private readonly SemaphoreSlim filling = new(1);

        public string Key => key;

        public string Path => path;

        public long Size => size;

        public int Users { get; set; }

        public long LastUse { get; set; }

        public bool IsFilled { get; private set; }

        public async Task FillAsync(IObjectStore store, CancellationToken cancellationToken)
        {
            await filling.WaitAsync(cancellationToken).ConfigureAwait(false);
            try
            {
                if (IsFilled) return;
                var source = await store.OpenReadAsync(key, cancellationToken: cancellationToken).ConfigureAwait(false)
                    ?? throw new DeltaException($"the table's log names {key}, which is not there");
                await using (source.ConfigureAwait(false))
                {
                    var target = File.Create(path);
                    await using (target.ConfigureAwait(false)) await source.CopyToAsync(target, cancellationToken).ConfigureAwait(false);
                }
                IsFilled = true;
            }
            finally
            {
                filling.Release();
            }
        }

        public void Dispose()
        {
            File.Delete(path);
            filling.Dispose();
        }
    }
}
