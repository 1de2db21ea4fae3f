using ModelOps.Registry;
using ModelOps.Server.Datasets;

namespace ModelOps.Server.Jobs;

/// <summary>
/// Pins what a job's input names when the job is made: the version that its user meant, not what a later registration or a moved alias
/// would give. What is not there stays as it is, and the job says so.
/// </summary>
public sealed class JobReferences(ArtifactRegistry registry, DatasetCatalog datasets)
{
    public async Task<string> PinAsync(string reference, CancellationToken cancellationToken) =>
        (await registry.GetAsync(reference, cancellationToken))?.Manifest.Reference ?? reference;

    /// <param name="dataset">Pinned.</param>
    /// <returns>What its rows are for; null: there is no such version.</returns>
    public async Task<string?> TaskOfAsync(string dataset, CancellationToken cancellationToken) =>
        dataset.Split('@') is [var name, var version] ? (await datasets.FindAsync(name, version, cancellationToken))?.Task : null;

    public async Task<string> PinDatasetAsync(string reference, CancellationToken cancellationToken)
    {
        var pinned = await registry.PinAliasAsync(reference, cancellationToken);
        return pinned.Contains('@', StringComparison.Ordinal) || await datasets.FindAsync(pinned, version: null, cancellationToken) is not { } row
            ? pinned
            : $"{row.Dataset}@{row.Version}";
    }
}
