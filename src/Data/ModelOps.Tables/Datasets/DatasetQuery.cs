using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using DuckDB.NET.Data;
using ModelOps.Storage;
using ModelOps.Tables.Delta;

namespace ModelOps.Tables.Datasets;

/// <summary>DuckDB over the files of a dataset's snapshots, and over nothing else: its access to files and network is closed.</summary>
public static class DatasetQuery
{
    /// <param name="splitVersions">Version of the table per split.</param>
    /// <returns>Rows per split.</returns>
    /// <exception cref="DeltaException">There is no such dataset or version, or its table is broken.</exception>
    public static async Task<IReadOnlyDictionary<string, long>> CountAsync(
        IObjectStore tables, string dataset, IReadOnlyDictionary<string, long> splitVersions, CancellationToken cancellationToken)
    {
        var counts = new Dictionary<string, long>(StringComparer.Ordinal);
        foreach (var (split, version) in splitVersions)
        {
            var table = await DatasetReader.OpenAsync(tables, dataset, split, cancellationToken).ConfigureAwait(false);
            var snapshot = await table.SnapshotAsync(version, cancellationToken).ConfigureAwait(false);
            counts[split] = await CountAsync(tables, table, snapshot, cancellationToken).ConfigureAwait(false);
        }
        return counts;
    }

    private static async Task<long> CountAsync(
        IObjectStore tables, DeltaTable table, Snapshot snapshot, CancellationToken cancellationToken)
    {
        if (snapshot.Files.Count == 0) return 0; // read_parquet takes no empty list
        var files = new List<LocalFile>();
        try
        {
            foreach (var file in snapshot.Files)
                files.Add(await LocalFile.OpenAsync(tables, table.KeyOf(file), cancellationToken).ConfigureAwait(false));
            return await CountAsync([.. files.Select(file => file.Path)], cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            foreach (var file in files) file.Dispose();
        }
    }

    [SuppressMessage("Security", "CA2100", Justification = "the only input are paths, quoted as literals; SET takes no parameters")]
    private static async Task<long> CountAsync(IReadOnlyList<string> files, CancellationToken cancellationToken)
    {
        using var connection = new DuckDBConnection("DataSource=:memory:");
        await connection.OpenAsync(cancellationToken).ConfigureAwait(false);
        using var command = connection.CreateCommand();
        var patterns = files.Select(EscapeGlob).ToList();
        // DuckDB asks for leave twice: for the pattern as it is written and for the file that it finds.
        var allowed = Literals([.. files, .. patterns]);
        command.CommandText = $"SET allowed_paths = [{allowed}]; SET enable_external_access = false; SET lock_configuration = true";
        await command.ExecuteNonQueryAsync(cancellationToken).ConfigureAwait(false);
        command.CommandText = $"SELECT count(*) FROM read_parquet([{Literals(patterns)}])";
        return Convert.ToInt64(await command.ExecuteScalarAsync(cancellationToken).ConfigureAwait(false), CultureInfo.InvariantCulture);
    }

    private static string Literals(IEnumerable<string> texts) =>
        string.Join(", ", texts.Select(text => $"'{text.Replace("'", "''", StringComparison.Ordinal)}'"));

    private static string EscapeGlob(string path) => string.Concat(path.Select(c => c is '*' or '?' or '[' ? $"[{c}]" : $"{c}"));
}
