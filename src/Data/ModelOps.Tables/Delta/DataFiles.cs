using ModelOps.Storage;

namespace ModelOps.Tables.Delta;

/// <summary>The files of rows in a table's folder, under names that no one else has: until a commit names them they are in no version.</summary>
internal sealed class DataFiles(IObjectStore store, TablePaths paths, TimeProvider clock)
{
    private const int Uploads = 4; // at once
    private const string ChangeFolder = "_change_data/";

    public async Task<IReadOnlyList<LogLine>> AddAsync(StagedRows rows, bool dataChange, CancellationToken cancellationToken)
    {
        var now = clock.GetUtcNow().ToUnixTimeMilliseconds();
        var uploaded = await UploadAsync(rows, "", "part", cancellationToken).ConfigureAwait(false);
        return
        [
            .. uploaded.Select(file => new LogLine
            {
                Add = new(file.Path, file.Staged.PartitionValues, file.Staged.Size, now, dataChange, file.Staged.Stats),
            }),
        ];
    }

    public async Task<IReadOnlyList<LogLine>> AddChangesAsync(StagedRows rows, CancellationToken cancellationToken)
    {
        var uploaded = await UploadAsync(rows, ChangeFolder, "cdc", cancellationToken).ConfigureAwait(false);
        return
        [
            .. uploaded.Select(file => new LogLine { Cdc = new(file.Path, file.Staged.PartitionValues, file.Staged.Size, DataChange: false) }),
        ];
    }

    public LogLine Remove(AddFile file, bool dataChange) => new()
    {
        Remove = new(
            file.Path, dataChange, clock.GetUtcNow().ToUnixTimeMilliseconds(), ExtendedFileMetadata: true, file.PartitionValues, file.Size,
            Tags: file.Tags, DeletionVector: file.DeletionVector, BaseRowId: file.BaseRowId, DefaultRowCommitVersion: file.DefaultRowCommitVersion),
    };

    /// <summary>Deletes the files that a transaction brought, after it was refused.</summary>
    public async Task DiscardAsync(TableTransaction transaction, CancellationToken cancellationToken)
    {
        if (transaction.BringsBackFiles) return;
        foreach (var path in transaction.Actions.Select(action => action.Add?.Path ?? action.Cdc?.Path).OfType<string>())
            await store.DeleteAsync(paths.KeyOf(path), cancellationToken).ConfigureAwait(false);
    }

    private async Task<(StagedFile Staged, string Path)[]> UploadAsync(
        StagedRows rows, string folder, string prefix, CancellationToken cancellationToken)
    {
        var files = rows.Complete().Select((staged, number) => (
            Staged: staged,
            Path: PartitionPath.ToUri($"{folder}{PartitionPath.Folder(staged.PartitionValues)}{prefix}-{number:D5}-{Guid.NewGuid()}.c000.zstd.parquet"))).ToArray();
        var parallel = new ParallelOptions { MaxDegreeOfParallelism = Uploads, CancellationToken = cancellationToken };
        await Parallel.ForEachAsync(files, parallel, async (file, token) =>
        {
            var content = File.OpenRead(file.Staged.Path);
            await using (content.ConfigureAwait(false))
                await store.PutAsync(paths.KeyOf(file.Path), content, PutMode.IfAbsent, token).ConfigureAwait(false);
        }).ConfigureAwait(false);
        return files;
    }
}
