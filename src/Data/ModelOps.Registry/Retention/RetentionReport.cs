namespace ModelOps.Registry;

/// <summary>What a run of retention did; of a dry run, what it would have done.</summary>
/// <param name="Removed">Archived artifacts whose files were let go.</param>
/// <param name="Kept">Archived artifacts that are old enough, and what needs each.</param>
/// <param name="SetAside">Blobs that nothing refers to: taken out of use, gone for good a day later.</param>
/// <param name="Freed">Blobs set aside earlier that are gone now.</param>
public sealed record RetentionReport(
    bool DryRun,
    IReadOnlyList<RemovedFiles> Removed,
    IReadOnlyList<KeptFiles> Kept,
    BlobCount SetAside,
    BlobCount Freed);

/// <param name="Artifact"><c>name@version</c></param>
/// <param name="Size">Bytes of its files, those shared with others included.</param>
public sealed record RemovedFiles(string Artifact, int Files, long Size);

/// <param name="Reason">What needs it: <c>deployment support</c>, <c>adapter support-lora@2</c>.</param>
public sealed record KeptFiles(string Artifact, string Reason);

/// <param name="Bytes">Of all of them.</param>
public sealed record BlobCount(int Blobs, long Bytes);
