using System.Formats.Tar;
using System.Reflection;
using System.Security.Cryptography;
using System.Text.Json;

namespace ModelOps.Registry;

/// <summary>
/// Writes the whole metadata database as one tar archive that restores into either database: <c>manifest.json</c>, then a member of JSON
/// lines per table. All tables are read in one snapshot, and no writer waits for it.
/// </summary>
/// <param name="keysFolder">The signing keys, part of the archive where asked for.</param>
public sealed class MetadataBackup(MetadataDatabase database, string keysFolder, TimeProvider time)
{
    /// <param name="archive">Complete and valid when this returns.</param>
    /// <param name="withKeys">Whether the private keys go with it: who has such an archive can sign in this installation's name.</param>
    public async Task WriteAsync(Stream archive, bool withKeys, CancellationToken cancellationToken = default)
    {
        List<(string Member, Stream Content)> members = [];
        try
        {
            var manifest = new BackupManifest
            {
                Format = BackupManifest.CurrentFormat,
                CreatedAt = time.GetUtcNow(),
                Version = typeof(MetadataBackup).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()!.InformationalVersion,
                Schema = database.Schema,
                Provider = database is SqliteMetadata ? MetadataOptions.Sqlite : MetadataOptions.PostgreSql,
                Tables = await ReadTablesAsync(members, cancellationToken).ConfigureAwait(false),
                Keys = withKeys ? await ReadKeysAsync(members, cancellationToken).ConfigureAwait(false) : [],
            };
            using var first = new MemoryStream(JsonSerializer.SerializeToUtf8Bytes(manifest, BackupJson.Default.BackupManifest));
            members.Insert(0, (BackupManifest.Path, first));
            var tar = new TarWriter(archive, TarEntryFormat.Pax, leaveOpen: true);
            await using (tar.ConfigureAwait(false))
            {
                foreach (var (member, content) in members)
                {
                    content.Position = 0;
                    var entry = new PaxTarEntry(TarEntryType.RegularFile, member)
                    {
                        DataStream = content,
                        Mode = KeyFiles.Private,
                        ModificationTime = manifest.CreatedAt,
                    };
                    await tar.WriteEntryAsync(entry, cancellationToken).ConfigureAwait(false);
                }
            }
        }
        finally
        {
            foreach (var (_, content) in members) await content.DisposeAsync().ConfigureAwait(false);
        }
    }

    private async Task<IReadOnlyList<BackupTable>> ReadTablesAsync(List<(string, Stream)> members, CancellationToken cancellationToken)
    {
        using var context = database.CreateDbContext();
        var tables = new List<BackupTable>();
        var connection = await database.OpenConnectionAsync(cancellationToken).ConfigureAwait(false);
        await using var closing = connection.ConfigureAwait(false);
        var snapshot = await database.BeginSnapshotAsync(connection, cancellationToken).ConfigureAwait(false);
        await using var ending = snapshot.ConfigureAwait(false);
        foreach (var table in MetadataTable.Of(context))
        {
            var lines = ScratchFile.Create();
            members.Add(($"tables/{table.Name}.jsonl", lines));
            using var command = connection.CreateCommand();
            command.Transaction = snapshot;
            command.CommandTimeout = 0;
            command.CommandText =
                $"SELECT {Columns(table.Columns.Select(column => column.Name))} FROM \"{table.Name}\" ORDER BY {Columns(table.Key)}";
            var reader = await command.ExecuteReaderAsync(cancellationToken).ConfigureAwait(false);
            await using var reading = reader.ConfigureAwait(false);
            var rows = await BackupRows.WriteAsync(table, reader, lines, cancellationToken).ConfigureAwait(false);
            var sha256 = await DigestAsync(lines, cancellationToken).ConfigureAwait(false);
            tables.Add(new BackupTable(table.Name, [.. table.Columns.Select(column => column.Name)], rows, lines.Length, sha256));
        }
        return tables;
    }

    private async Task<IReadOnlyList<BackupKey>> ReadKeysAsync(List<(string, Stream)> members, CancellationToken cancellationToken)
    {
        var keys = new List<BackupKey>();
        var everything = new EnumerationOptions { RecurseSubdirectories = true, AttributesToSkip = FileAttributes.ReparsePoint };
        foreach (var path in Directory.EnumerateFiles(keysFolder, "*", everything).Order(StringComparer.Ordinal))
        {
            var content = new MemoryStream(await File.ReadAllBytesAsync(path, cancellationToken).ConfigureAwait(false));
            var sha256 = await DigestAsync(content, cancellationToken).ConfigureAwait(false);
            var key = new BackupKey(Path.GetRelativePath(keysFolder, path), (int)File.GetUnixFileMode(path), content.Length, sha256);
            members.Add((key.Member, content));
            keys.Add(key);
        }
        return keys;
    }

    private static async Task<string> DigestAsync(Stream content, CancellationToken cancellationToken)
    {
        content.Position = 0;
        return Convert.ToHexStringLower(await SHA256.HashDataAsync(content, cancellationToken).ConfigureAwait(false));
    }

    private static string Columns(IEnumerable<string> names) => string.Join(", ", names.Select(name => $"\"{name}\""));
}

/// <summary>Nameless files for what is too large for memory: gone with their handle, however the process ends.</summary>
public static class ScratchFile
{
    private const int BufferSize = 128 << 10;

    public static FileStream Create()
    {
        var path = Path.Combine(Path.GetTempPath(), $"modelops-{Guid.NewGuid():N}");
        var file = new FileStream(path, new FileStreamOptions
        {
            Mode = FileMode.CreateNew,
            Access = FileAccess.ReadWrite,
            Share = FileShare.None,
            BufferSize = BufferSize,
            Options = FileOptions.Asynchronous,
            UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite,
        });
        File.Delete(path);
        return file;
    }
}
