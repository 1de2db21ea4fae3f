using System.Text.Json;

namespace ModelOps.Client;

/// <summary>Asks what would become of an uploaded file.</summary>
public sealed record PreviewDataset
{
    /// <summary>SHA-256 of an uploaded blob, hex.</summary>
    public required string Source { get; init; }

    /// <summary>For messages, and to tell formats apart whose content does not.</summary>
    public required string FileName { get; init; }

    /// <value>The default is what the server finds out.</value>
    public IngestionOptions? Options { get; init; }
}

/// <summary>What a file would become, from its first rows.</summary>
public sealed record DatasetPreview
{
    /// <summary>Of the rows that were read; tokens are not counted.</summary>
    public required IngestionReport Report { get; init; }

    /// <summary>The first ones that would be kept, a JSON object each: <c>split</c> and the columns of the dataset.</summary>
    public required IReadOnlyList<JsonElement> Rows { get; init; }

    /// <summary>The first ones that would not.</summary>
    public required IReadOnlyList<RejectedRow> Rejected { get; init; }

    /// <summary>Whether the file was read to its end.</summary>
    public required bool Whole { get; init; }

    /// <summary>Why the file would be refused; of one that was not read to its end, if it goes on as it begins.</summary>
    public required IReadOnlyList<string> Errors { get; init; }
}

/// <param name="Line">On which it begins, from 1; of a Parquet file the number of the row.</param>
/// <param name="Detail">Where in the row, or what was found.</param>
/// <param name="Raw">What the file says, of a long row the beginning.</param>
public sealed record RejectedRow(long Line, string Reason, string? Detail, string Raw);
