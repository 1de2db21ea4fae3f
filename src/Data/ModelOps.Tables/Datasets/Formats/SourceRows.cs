namespace ModelOps.Tables.Datasets.Formats;

internal static class SourceRows
{
    /// <summary>Every row of the file, good or bad; in memory is one at a time.</summary>
    /// <param name="maxRow">Bytes; a longer row is a bad row.</param>
    /// <param name="knownNames">Names that a column of a table can have to be of use.</param>
    /// <exception cref="InvalidDataException">The file is broken so that its rows cannot be told apart.</exception>
    public static IAsyncEnumerable<RawRow> ReadAsync(
        SourceFile.Readable file, int maxRow, IReadOnlyCollection<string> knownNames, CancellationToken cancellationToken)
    {
        var window = new ByteWindow(file.Stream, maxRow);
        return file.Format switch
        {
            SourceFormat.JsonLines => LineRows.ReadAsync(window, cancellationToken),
            SourceFormat.JsonArray => JsonRows.ReadAsync(window, cancellationToken),
            SourceFormat.Text => LineRows.ReadTextAsync(window, cancellationToken),
            SourceFormat.Csv => CsvRows.ReadAsync(window, CsvDialect.Detect(file.Head.Span, delimiter: null, knownNames), cancellationToken),
            SourceFormat.Tsv => CsvRows.ReadAsync(window, CsvDialect.Detect(file.Head.Span, (byte)'\t', knownNames), cancellationToken),
            SourceFormat.Parquet => ParquetSourceRows.ReadAsync(file.Stream, maxRow, cancellationToken),
            var other => throw new InvalidOperationException($"{other} is no format"),
        };
    }
}
