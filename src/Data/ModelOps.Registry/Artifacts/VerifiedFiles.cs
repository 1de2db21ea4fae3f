using System.Collections.Concurrent;
using System.Globalization;
using System.Text;

namespace ModelOps.Registry;

/// <summary>How a local file is held against its manifest.</summary>
public enum FileChecks
{
    /// <summary>
    /// Every stored byte is read and hashed, even where an unchanged copy of it is at hand. The only way for deployment, promotion, export
    /// and <c>verify</c>.
    /// </summary>
    EveryByte,

    /// <summary>
    /// A file that was hashed before and has the same size, modification time and inode is not read again. Who can write the file can
    /// also set its time: this saves reading large bases for every job, and proves nothing against a local attacker.
    /// </summary>
    Remembered,
}

/// <summary>The local files whose SHA-256 is known, kept in a file so that a restart does not forget them.</summary>
/// <remarks>One process writes a memory file; a line that was cut off by a crash is skipped.</remarks>
public sealed class VerifiedFiles
{
    private const int mostStaleLines = 10_000;

    private readonly string? path;
    private readonly ConcurrentDictionary<(ulong Device, ulong Inode), (FileIdentity Identity, string Sha256)> known = new();
    private readonly Lock appending = new();

    /// <param name="memory">Null: forgotten with the process.</param>
    public VerifiedFiles(string? memory = null)
    {
        path = memory;
        if (memory is null)
            return;
        Directory.CreateDirectory(Path.GetDirectoryName(Path.GetFullPath(memory))!);
        if (!File.Exists(memory))
            return;
        var lines = File.ReadAllLines(memory);
        foreach (var line in lines)
        {
            if (Parse(line) is { } entry)
                known[(entry.Identity.Device, entry.Identity.Inode)] = entry;
        }
        if (lines.Length > known.Count + mostStaleLines)
            File.WriteAllLines(memory, known.Values.Select(Line));
    }

    internal bool Holds(FileIdentity identity, string sha256) =>
        known.TryGetValue((identity.Device, identity.Inode), out var entry) && entry == (identity, sha256);

    internal void Remember(FileIdentity identity, string sha256)
    {
        if (Holds(identity, sha256))
            return;
        known[(identity.Device, identity.Inode)] = (identity, sha256);
        if (path is null)
            return;
        lock (appending)
        {
            File.AppendAllText(path, Line((identity, sha256)) + "\n", Encoding.ASCII);
        }
    }

    private static string Line((FileIdentity Identity, string Sha256) entry) =>
        $"{entry.Identity.Device} {entry.Identity.Inode} {entry.Identity.Size} {entry.Identity.Modified} {entry.Sha256}";

    private static (FileIdentity Identity, string Sha256)? Parse(string line) =>
        line.Split(' ') is [var device, var inode, var size, var modified, var sha256]
        && ulong.TryParse(device, CultureInfo.InvariantCulture, out var d)
        && ulong.TryParse(inode, CultureInfo.InvariantCulture, out var i)
        && ulong.TryParse(size, CultureInfo.InvariantCulture, out var s)
        && long.TryParse(modified, CultureInfo.InvariantCulture, out var m)
        && ManifestRules.IsDigest(sha256)
            ? (new FileIdentity(d, i, s, m), sha256)
            : null;
}
