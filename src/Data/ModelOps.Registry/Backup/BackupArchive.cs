using System.Formats.Tar;
using System.Security.Cryptography;
using System.Text.Json;
using ModelOps.Storage;

namespace ModelOps.Registry;

/// <summary>An archive whose every byte was checked: members, digests, counts, and each row against this version's tables.</summary>
internal sealed class BackupArchive
{
    private const long LargestManifest = 4 << 20;
    private const long LargestKey = 1 << 20;
    private readonly Stream file;
    private readonly Dictionary<string, Member> members = new(StringComparer.Ordinal);

    private BackupArchive(Stream file, BackupManifest manifest)
    {
        this.file = file;
        Manifest = manifest;
    }

    public BackupManifest Manifest { get; }

    /// <param name="file">Seekable; stays open as long as the archive is used.</param>
    public static async Task<BackupReading> ReadAsync(
        Stream file, MetadataDatabase database, IReadOnlyList<MetadataTable> tables, CancellationToken cancellationToken)
    {
        try
        {
            file.Position = 0;
            var tar = new TarReader(file, leaveOpen: true);
            await using var closing = tar.ConfigureAwait(false);
            var manifest = await ReadManifestAsync(tar, cancellationToken).ConfigureAwait(false);
            List<string> faults = [.. Faults(manifest, database, tables)];
            var archive = new BackupArchive(file, manifest);
            if (manifest.Format == BackupManifest.CurrentFormat)
                faults.AddRange(await archive.ReadMembersAsync(tar, cancellationToken).ConfigureAwait(false));
            if (faults.Count == 0) // rows are read only by tables that they are for, from members that are as they were written
                faults.AddRange(await archive.CheckRowsAsync(tables, cancellationToken).ConfigureAwait(false));
            return faults.Count == 0 ? new BackupReading.Sound(archive) : new BackupReading.Damaged(faults);
        }
        catch (Exception e) when (e is InvalidDataException or EndOfStreamException or FormatException or ArgumentException or OverflowException or JsonException)
        {
            return new BackupReading.Damaged([$"it is no complete ModelOps backup: {e.Message}"]);
        }
    }

    public IAsyncEnumerable<object?[]> RowsAsync(MetadataTable table, CancellationToken cancellationToken) =>
        BackupRows.ReadAsync(table, OpenLines(members[$"tables/{table.Name}.jsonl"]), cancellationToken);

    public async Task<byte[]> ReadKeyAsync(BackupKey key, CancellationToken cancellationToken)
    {
        var content = new byte[key.Size];
        file.Position = members[key.Member].Offset;
        await file.ReadExactlyAsync(content, cancellationToken).ConfigureAwait(false);
        return content;
    }

    private static async Task<BackupManifest> ReadManifestAsync(TarReader tar, CancellationToken cancellationToken)
    {
        var first = await tar.GetNextEntryAsync(cancellationToken: cancellationToken).ConfigureAwait(false);
        if (first is not { Name: BackupManifest.Path, DataStream: { } content } || first.Length > LargestManifest)
            throw new InvalidDataException($"it does not begin with {BackupManifest.Path}.");
        var manifest = await JsonSerializer.DeserializeAsync(content, BackupJson.Default.BackupManifest, cancellationToken).ConfigureAwait(false);
        return manifest is null || manifest.Tables.Contains(null) || manifest.Keys.Contains(null)
            ? throw new InvalidDataException($"{BackupManifest.Path} has gaps.")
            : manifest;
    }

    private static IEnumerable<string> Faults(BackupManifest manifest, MetadataDatabase database, IReadOnlyList<MetadataTable> tables)
    {
        if (manifest.Format != BackupManifest.CurrentFormat)
        {
            yield return $"its format is {manifest.Format}, this version reads {BackupManifest.CurrentFormat}: restore it with ModelOps {manifest.Version}.";
            yield break;
        }
        if (manifest.Schema != database.Schema)
            yield return $"its schema is {manifest.Schema}, this version has {database.Schema}: restore it with ModelOps {manifest.Version}, then start this version there.";
        foreach (var table in tables)
        {
            var found = manifest.Tables.Where(saved => saved.Name == table.Name).ToList();
            if (found.Count != 1)
                yield return $"table {table.Name} is {(found.Count == 0 ? "missing" : "named twice")}.";
            else if (!found[0].Columns.SequenceEqual(table.Columns.Select(column => column.Name)))
                yield return $"table {table.Name} has the columns {string.Join(", ", found[0].Columns)}; they must be {string.Join(", ", table.Columns.Select(column => column.Name))}.";
        }
        foreach (var unknown in manifest.Tables.Select(saved => saved.Name).Except(tables.Select(table => table.Name), StringComparer.Ordinal))
            yield return $"table {unknown} is not known to this version.";
        foreach (var key in manifest.Keys)
        {
            if (!IsSafe(key.Path)) yield return $"key '{key.Path}' would leave the keys folder.";
            if (key.Size > LargestKey) yield return $"key '{key.Path}' has {key.Size} bytes; none is that large.";
            if ((key.Mode & ~0b111_111_111) != 0) yield return $"key '{key.Path}' has the mode {key.Mode}, which is none.";
        }
        foreach (var twice in manifest.Keys.GroupBy(key => key.Path, StringComparer.Ordinal).Where(same => same.Count() > 1))
            yield return $"key '{twice.Key}' is named twice.";
    }

    private static bool IsSafe(string path) => path.Length is > 0 and < 256
        && path.Split('/').All(part => part is not ("" or "." or "..") && part.All(letter => letter is not '\\' && !char.IsControl(letter)));

    private async Task<IReadOnlyList<string>> ReadMembersAsync(TarReader tar, CancellationToken cancellationToken)
    {
        var faults = new List<string>();
        while (await tar.GetNextEntryAsync(cancellationToken: cancellationToken).ConfigureAwait(false) is { } entry)
        {
            var sha256 = entry.DataStream is { } content
                ? Convert.ToHexStringLower(await SHA256.HashDataAsync(content, cancellationToken).ConfigureAwait(false))
                : Convert.ToHexStringLower(SHA256.HashData([]));
            if (!members.TryAdd(entry.Name, new Member(entry.DataOffset, entry.Length, sha256))) faults.Add($"{entry.Name} is in it twice.");
        }
        Dictionary<string, (long Size, string Sha256)> expected = new(StringComparer.Ordinal);
        foreach (var table in Manifest.Tables) expected[table.Member] = (table.Size, table.Sha256);
        foreach (var key in Manifest.Keys) expected[key.Member] = (key.Size, key.Sha256);
        foreach (var (name, (size, sha256)) in expected)
        {
            if (!members.TryGetValue(name, out var member)) faults.Add($"{name} is missing.");
            else if (member.Size != size) faults.Add($"{name} has {member.Size} bytes, it was written with {size}.");
            else if (member.Sha256 != sha256) faults.Add($"{name} was changed: its SHA-256 is {member.Sha256}, it was written with {sha256}.");
        }
        faults.AddRange(members.Keys.Except(expected.Keys, StringComparer.Ordinal).Select(name => $"{name} does not belong in it."));
        return faults;
    }

    private async Task<IReadOnlyList<string>> CheckRowsAsync(IReadOnlyList<MetadataTable> tables, CancellationToken cancellationToken)
    {
        var faults = new List<string>();
        foreach (var table in tables)
        {
            var saved = Manifest.Tables.Single(saved => saved.Name == table.Name);
            try
            {
                var rows = 0L;
                await foreach (var _ in RowsAsync(table, cancellationToken).ConfigureAwait(false)) rows++;
                if (rows != saved.Rows) faults.Add($"{saved.Member} has {rows} rows, it was written with {saved.Rows}.");
            }
            catch (InvalidDataException e)
            {
                faults.Add($"{saved.Member} {e.Message}.");
            }
        }
        return faults;
    }

    private RangeStream OpenLines(Member member)
    {
        if (member.Size > 0) file.Position = member.Offset;
        return new RangeStream(file, member.Size);
    }

    private sealed record Member(long Offset, long Size, string Sha256);
}

internal abstract record BackupReading
{
    private BackupReading()
    {
    }

    public sealed record Sound(BackupArchive Archive) : BackupReading;

    public sealed record Damaged(IReadOnlyList<string> Faults) : BackupReading;
}
