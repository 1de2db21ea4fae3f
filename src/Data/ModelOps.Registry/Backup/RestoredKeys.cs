using System.Security.Cryptography;
using System.Text.Json;
using Microsoft.EntityFrameworkCore;
using ModelOps.Storage;

namespace ModelOps.Registry;

/// <summary>
/// A backup's keys on their way into the keys folder. They lie beside it until the database says that their restore was committed: the
/// audit row that the same transaction wrote names them. So keys and metadata change together, wherever the process dies.
/// </summary>
public sealed class RestoredKeys : IDisposable
{
    internal const string AuditAction = "metadata.restored";
    internal const string AuditProperty = "keys";
    private readonly string folder;
    private bool keep;

    private RestoredKeys(string id, string folder)
    {
        Id = id;
        this.folder = folder;
    }

    internal string Id { get; }

    /// <summary>
    /// Finishes what a restore began, before the keys are read: committed keys take the folder's place, the old folder stays beside it as
    /// <c>keys.replaced-ID</c>; keys of a restore that never was go.
    /// </summary>
    public static async Task ApplyAsync(string keysFolder, MetadataDatabase database, CancellationToken cancellationToken = default)
    {
        var parent = Path.GetDirectoryName(Path.GetFullPath(keysFolder))!;
        foreach (var staged in Directory.GetDirectories(parent, $"{Path.GetFileName(keysFolder)}.restored-*"))
        {
            var id = staged[(staged.LastIndexOf('-') + 1)..];
            if (!await IsCommittedAsync(database, id, cancellationToken).ConfigureAwait(false))
            {
                Directory.Delete(staged, recursive: true);
                continue;
            }
            if (Directory.Exists(keysFolder)) Directory.Move(keysFolder, FreeName($"{keysFolder}.replaced-{id}"));
            Directory.Move(staged, keysFolder);
            Durable.SyncFolder(parent);
        }
    }

    public void Dispose()
    {
        if (!keep) Directory.Delete(folder, recursive: true);
    }

    /// <returns>Null for a backup without keys.</returns>
    internal static async Task<RestoredKeys?> StageAsync(string keysFolder, BackupArchive backup, CancellationToken cancellationToken)
    {
        if (backup.Manifest.Keys.Count == 0) return null;
        var id = RandomNumberGenerator.GetHexString(16, lowercase: true);
        var staged = new RestoredKeys(id, $"{Path.GetFullPath(keysFolder)}.restored-{id}");
        KeyFiles.CreateFolder(staged.folder);
        try
        {
            foreach (var key in backup.Manifest.Keys)
            {
                var path = Path.Combine(staged.folder, key.Path);
                KeyFiles.CreateFolder(Path.GetDirectoryName(path)!);
                var options = new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write, UnixCreateMode = (UnixFileMode)key.Mode };
                using (var file = new FileStream(path, options))
                {
                    await file.WriteAsync(await backup.ReadKeyAsync(key, cancellationToken).ConfigureAwait(false), cancellationToken).ConfigureAwait(false);
                    await file.FlushAsync(cancellationToken).ConfigureAwait(false);
                    RandomAccess.FlushToDisk(file.SafeFileHandle);
                }
                Durable.SyncFolder(Path.GetDirectoryName(path)!);
            }
            Durable.SyncFolder(Path.GetDirectoryName(staged.folder)!);
            return staged;
        }
        catch
        {
            staged.Dispose();
            throw;
        }
    }

    /// <summary>They are waited for by a committed row.</summary>
    internal void Keep() => keep = true;

    private static async Task<bool> IsCommittedAsync(MetadataDatabase database, string id, CancellationToken cancellationToken)
    {
        using var context = database.CreateDbContext();
        var details = await context.Audit.AsNoTracking().Where(row => row.Action == AuditAction).Select(row => row.Detail)
            .ToListAsync(cancellationToken).ConfigureAwait(false);
        return details.Exists(detail => JsonElement.Parse(detail).TryGetProperty(AuditProperty, out var keys)
            && keys.ValueKind == JsonValueKind.String && keys.GetString() == id);
    }

    /// <summary>A start that died between the two moves left a folder that is empty or new.</summary>
    private static string FreeName(string path)
    {
        var free = path;
        for (var n = 2; Directory.Exists(free); n++) free = $"{path}-{n}";
        return free;
    }
}
