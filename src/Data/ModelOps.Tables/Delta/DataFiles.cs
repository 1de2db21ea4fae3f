using System.Security.Cryptography;
using System.Text;
using ModelOps.Storage;

namespace ModelOps.Tables.Delta;

/// <summary>
/// The files of rows in a table's folder: until a commit names them they are in no version. No one else has their names, except another try of an
/// application's write: what it has brought already is not brought again.
/// </summary>
internal sealed class DataFiles(IObjectStore store, TablePaths paths, TimeProvider clock)
{
    private const int Uploads = 4; // at once
    private const string ChangeFolder = "_change_data/";

    public Task<IReadOnlyList<LogLine>> AddAsync(StagedRows rows, bool dataChange, CancellationToken cancellationToken) =>
        AddAsync(rows, dataChange, application: null, cancellationToken);

    /// <param name="application">Whose write it is: names follow from it and the content. null: names are new ones.</param>
    public async Task<IReadOnlyList<LogLine>> AddAsync(
        StagedRows rows, bool dataChange, ApplicationVersion? application, CancellationToken cancellationToken)
    {
        var now = clock.GetUtcNow().ToUnixTimeMilliseconds();
        var uploaded = await UploadAsync(rows, "", "part", application, cancellationToken).ConfigureAwait(false);
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
        var uploaded = await UploadAsync(rows, ChangeFolder, "cdc", application: null, cancellationToken).ConfigureAwait(false);
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

    /// <summary>
    /// Deletes the files that a transaction brought, after it was refused. Not those of an application's write: another try of it may have committed
    /// them or be about to; if not, they go with the next vacuum.
    /// </summary>
    public async Task DiscardAsync(TableTransaction transaction, CancellationToken cancellationToken)
    {
        if (transaction.BringsBackFiles || transaction.Options.Application is not null) return;
        foreach (var path in transaction.Actions.Select(action => action.Add?.Path ?? action.Cdc?.Path).OfType<string>())
            await store.DeleteAsync(paths.KeyOf(path), cancellationToken).ConfigureAwait(false);
    }

    private async Task<(StagedFile Staged, string Path)[]> UploadAsync(
        StagedRows rows, string folder, string prefix, ApplicationVersion? application, CancellationToken cancellationToken)
    {
        var staged = rows.Complete();
        var files = new (StagedFile Staged, string Path)[staged.Count];
        var parallel = new ParallelOptions { MaxDegreeOfParallelism = Uploads, CancellationToken = cancellationToken };
        await Parallel.ForEachAsync(staged.Index(), parallel, async (file, token) =>
        {
            var content = File.OpenRead(file.Item.Path);
            await using (content.ConfigureAwait(false))
            {
                var id = application is null ? Guid.NewGuid() : await IdAsync(application, content, token).ConfigureAwait(false);
                var name = $"{folder}{PartitionPath.Folder(file.Item.PartitionValues)}{prefix}-{file.Index:D5}-{id}.c000.zstd.parquet";
                files[file.Index] = (file.Item, PartitionPath.ToUri(name));
                await store.PutAsync(paths.KeyOf(files[file.Index].Path), content, PutMode.IfAbsent, token).ConfigureAwait(false);
            }
        }).ConfigureAwait(false);
        return files;
    }

    private static async Task<Guid> IdAsync(ApplicationVersion application, FileStream content, CancellationToken cancellationToken)
    {
        var digest = await SHA256.HashDataAsync(content, cancellationToken).ConfigureAwait(false);
        content.Position = 0;
        byte[] named = [.. digest, .. Encoding.UTF8.GetBytes($"{application.Version} {application.Id}")];
        return new(SHA256.HashData(named).AsSpan(0, 16));
    }
}
