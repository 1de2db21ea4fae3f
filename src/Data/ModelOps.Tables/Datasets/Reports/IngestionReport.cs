namespace ModelOps.Tables.Datasets.Reports;

/// <summary>What became of a file: how it was read, what was kept, what was not and why, and what the rows look like.</summary>
public sealed record IngestionReport
{
    public required SourceReport Source { get; init; }

    /// <summary>How the file was taken; reports of old versions do not say.</summary>
    public IngestionOptions? Options { get; init; }

    /// <summary>sft, preference, kto or text: the canonical schema of the rows.</summary>
    public required string Task { get; init; }

    public required RowCounts Rows { get; init; }

    /// <summary>Rows per split.</summary>
    public required IReadOnlyDictionary<string, long> Splits { get; init; }

    public required QuarantineReport Quarantine { get; init; }

    /// <summary>Null where they were not looked for.</summary>
    public NearDuplicateReport? NearDuplicates { get; init; }

    /// <summary>Null where it was not looked for.</summary>
    public PiiReport? Pii { get; init; }

    public required RowStatistics Statistics { get; init; }
}

public sealed record SourceReport
{
    public required string FileName { get; init; }

    /// <summary>Of the file as it is, packed or not.</summary>
    public required long Bytes { get; init; }

    public required string Format { get; init; }

    public required string FormatReason { get; init; }

    /// <summary>gzip or zstd; null for none.</summary>
    public string? Compression { get; init; }

    public required string Encoding { get; init; }

    public required string Shape { get; init; }

    public required string ShapeReason { get; init; }
}

/// <summary>Every row that was read is kept, in quarantine, an exact duplicate or a removed near duplicate.</summary>
public sealed record RowCounts
{
    public required long Read { get; init; }

    public required long Kept { get; init; }

    public required long Quarantined { get; init; }

    /// <summary>Left out because an earlier row says the same.</summary>
    public required long ExactDuplicates { get; init; }

    /// <summary>Left out because an earlier row says nearly the same.</summary>
    public required long NearDuplicatesRemoved { get; init; }
}

public sealed record QuarantineReport
{
    /// <summary>Most frequent first.</summary>
    public required IReadOnlyList<QuarantineReason> Reasons { get; init; }

    /// <summary>The first bad rows.</summary>
    public required IReadOnlyList<BadRow> Examples { get; init; }
}

public sealed record QuarantineReason
{
    public required string Reason { get; init; }

    public required long Rows { get; init; }

    /// <summary>Line of the first one.</summary>
    public required long FirstLine { get; init; }
}

public sealed record BadRow
{
    public required long Line { get; init; }

    /// <summary>With what was found and where in the row.</summary>
    public required string Reason { get; init; }
}

public sealed record NearDuplicateReport
{
    /// <summary>Estimated Jaccard similarity from which rows count as near duplicates.</summary>
    public required double Threshold { get; init; }

    public required int Permutations { get; init; }

    public required int ShingleWords { get; init; }

    /// <summary>Rows like an earlier one.</summary>
    public required long Rows { get; init; }

    public required bool Removed { get; init; }

    public required IReadOnlyList<SimilarRows> Examples { get; init; }

    /// <summary>Rows that are kept and like an earlier one in another split: what is measured on one was learned from the other.</summary>
    public required long AcrossSplits { get; init; }

    public required IReadOnlyList<SimilarRows> AcrossSplitsExamples { get; init; }
}

public sealed record SimilarRows
{
    public required long Line { get; init; }

    public required string Split { get; init; }

    public required long EarlierLine { get; init; }

    public required string EarlierSplit { get; init; }

    public required double Similarity { get; init; }
}

public sealed record PiiReport
{
    /// <summary>report or mask.</summary>
    public required string Mode { get; init; }

    /// <summary>Rows with any.</summary>
    public required long Rows { get; init; }

    public required IReadOnlyList<PiiKind> Kinds { get; init; }
}

public sealed record PiiKind
{
    /// <summary>email, phone, card, iban or secret.</summary>
    public required string Kind { get; init; }

    public required long Count { get; init; }

    /// <summary>Of the first rows with it.</summary>
    public required IReadOnlyList<long> Lines { get; init; }
}

/// <summary>Of the rows that are kept.</summary>
public sealed record RowStatistics
{
    public required IReadOnlyDictionary<string, long> MessagesByRole { get; init; }

    /// <summary>Messages of a row.</summary>
    public required Spread Turns { get; init; }

    /// <summary>UTF-16 code units of a row's texts.</summary>
    public required Spread Characters { get; init; }

    /// <summary>Of a row's texts; null without a tokenizer.</summary>
    public Spread? Tokens { get; init; }

    /// <summary>Rows that use tools.</summary>
    public required long RowsWithTools { get; init; }

    /// <summary>Those of the most tokens, or where they are not counted, of the most characters.</summary>
    public required IReadOnlyList<LongRow> LongestRows { get; init; }

    /// <summary>Letters by script, most frequent first.</summary>
    public required IReadOnlyDictionary<string, long> Scripts { get; init; }
}

public sealed record Spread
{
    public required long Total { get; init; }

    public required long Least { get; init; }

    public required double Mean { get; init; }

    /// <summary>Half of the rows have at most this; reports of old versions do not say.</summary>
    public long? P50 { get; init; }

    /// <summary>95% of the rows have at most this; reports of old versions do not say.</summary>
    public long? P95 { get; init; }

    public required long Most { get; init; }
}

public sealed record LongRow
{
    public required long Line { get; init; }

    public required long Characters { get; init; }

    /// <summary>null without a tokenizer.</summary>
    public long? Tokens { get; init; }
}
