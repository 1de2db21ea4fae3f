namespace ModelOps.Client;

/// <summary>A backup of the metadata on this machine.</summary>
/// <param name="Size">Bytes.</param>
/// <param name="Sha256">Of the file, hex.</param>
/// <param name="WithKeys">Whether the signing keys are in it.</param>
public sealed record BackupFile(string Path, long Size, string Sha256, bool WithKeys);

/// <summary>What a restore put in place; the server restarts itself with it.</summary>
/// <param name="BackupCreatedAt">The moment that the metadata is of.</param>
/// <param name="Rows">Per table.</param>
/// <param name="WithKeys">Whether the backup's signing keys take the place of the server's.</param>
public sealed record RestoreReport(DateTimeOffset BackupCreatedAt, IReadOnlyDictionary<string, long> Rows, bool WithKeys);
