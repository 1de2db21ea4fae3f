using System.Buffers;
using System.Buffers.Binary;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Threading.Channels;
using ModelOps.Tables.Datasets.Duplicates;
using ModelOps.Tables.Datasets.Formats;
using ModelOps.Tables.Datasets.Pii;
using ModelOps.Tables.Datasets.Reports;
using ModelOps.Tables.Delta;

namespace ModelOps.Tables.Datasets;

/// <summary>
/// Takes the rows of a file one by one: judged and masked at once, and, in the same order on a second thread, compared with those before, counted,
/// and staged in their splits.
/// </summary>
internal sealed class RowIntake(SourceFormat format, IngestionPlan plan, Func<string, int>? countTokens) : IAsyncDisposable
{
    private const int RowsToFindShape = 100;
    private const int MaxExamples = 20;

    // Rows go to the second thread together: one at a time costs more than it saves. Few are on the way, and of long rows fewer.
    private const int RowsTogether = 256;
    private const int CharactersTogether = 1 << 20;

    // 16 bytes of SHA-256: two different rows share them with a probability of 10^-24 in 10^7 rows.
    private readonly IdSet seen = new();
    private readonly ArrayBufferWriter<byte> hashed = new();
    private readonly Channel<List<JudgedRow>> judged = Channel.CreateBounded<List<JudgedRow>>(1);
    private readonly PiiAudit pii = new(plan.Pii);
    private readonly NearDuplicates? near = plan.NearDuplicates == NearDuplicateMode.Off ? null : new();
    private readonly List<RowStage> restaged = [];
    private StatisticsBuilder statistics = new(countTokens);
    private List<JudgedRow> together = [];
    private int characters;
    private Task? keeping;
    private SplitRows? splits;

    public RowJudge Judge { get; } = new(format, plan);

    public Quarantine Quarantine { get; } = new();

    public long Read { get; private set; }

    public long Duplicates { get; private set; }

    public long Kept => splits?.Rows ?? 0;

    /// <summary>Whether enough rows were seen to say that the file has no rows that are known.</summary>
    public bool IsHopeless => Judge.Shape is null && Read >= RowsToFindShape;

    /// <exception cref="InvalidDataException">An element of an array is no JSON.</exception>
    public ValueTask TakeAsync(RawRow raw, CancellationToken cancellationToken)
    {
        Read++;
        var (content, fault) = Judge.Judge(raw);
        if (content is null)
        {
            Quarantine.Add(raw, fault!, pii.Show);
            return ValueTask.CompletedTask;
        }
        together.Add(new(pii.Take(content, raw.Line), raw.Line));
        characters += raw.Raw.Length;
        return together.Count < RowsTogether && characters < CharactersTogether ? ValueTask.CompletedTask : HandOverAsync(cancellationToken);
    }

    /// <summary>Ends taking: all rows are kept or left out after this.</summary>
    public async Task EndAsync(CancellationToken cancellationToken)
    {
        if (together.Count > 0) await HandOverAsync(cancellationToken).ConfigureAwait(false);
        judged.Writer.TryComplete();
        if (keeping is not null) await keeping.ConfigureAwait(false);
    }

    /// <summary>After the end: looks for near duplicates and drops them if they are to be.</summary>
    public async Task<KeptRows> CompleteAsync(CancellationToken cancellationToken)
    {
        var staged = splits!.Complete();
        var pairs = near?.Find(splits.Lent is { } lent ? (Short(lent.Id), SplitNumber(DatasetTables.Validation)) : null, cancellationToken);
        var removed = plan.NearDuplicates == NearDuplicateMode.Remove ? pairs!.Nearest.Select(pair => pair.Later.Id).ToHashSet() : [];
        if (removed.Count > 0) staged = await WithoutAsync(staged, removed, cancellationToken).ConfigureAwait(false);
        return new(staged, removed.Count, pairs is null ? null : Report(pairs, removed), pii.Report(), statistics.Build());
    }

    public async ValueTask DisposeAsync()
    {
        judged.Writer.TryComplete();
        if (keeping is not null) await keeping.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing); // what it failed of is known where the rows went
        foreach (var stage in restaged) stage.Dispose();
        splits?.Dispose();
        near?.Dispose();
        Quarantine.Dispose();
    }

    private async ValueTask HandOverAsync(CancellationToken cancellationToken)
    {
        keeping ??= Task.Run(KeepAllAsync, CancellationToken.None);
        var rows = together;
        (together, characters) = ([], 0);
        try
        {
            await judged.Writer.WriteAsync(rows, cancellationToken).ConfigureAwait(false);
        }
        catch (ChannelClosedException)
        {
            await keeping.ConfigureAwait(false); // throws what ended it
        }
    }

    private async Task KeepAllAsync()
    {
        try
        {
            await foreach (var rows in judged.Reader.ReadAllAsync().ConfigureAwait(false))
                foreach (var row in rows) Keep(row.Content, row.Line);
        }
        finally
        {
            judged.Writer.TryComplete();
        }
    }

    private void Keep(RowContent content, long line)
    {
        var id = RowId.Compute(content, hashed);
        var shortId = BinaryPrimitives.ReadUInt128BigEndian(id);
        if (!seen.Add(shortId))
        {
            Duplicates++;
            return;
        }
        splits ??= new(Judge.Shape!.Task, plan.Shares);
        var split = splits.Add(new(Convert.ToHexStringLower(id), line, Judge.Shape!.Task, content), id);
        statistics.Add(content, line);
        if (near is not null && MinHash.Sign(content.Texts) is { } signature) near.Add(new(shortId, line, SplitNumber(split)), signature);
    }

    private async Task<IReadOnlyDictionary<string, StagedRows>> WithoutAsync(
        IReadOnlyDictionary<string, StagedRows> staged, HashSet<UInt128> removed, CancellationToken cancellationToken)
    {
        statistics = new(countTokens);
        var kept = new Dictionary<string, StagedRows>(StringComparer.Ordinal);
        foreach (var (split, rows) in staged)
        {
            var stage = new RowStage(Judge.Shape!.Task);
            restaged.Add(stage);
            foreach (var file in rows.Complete())
                await foreach (var batch in ParquetSourceRows.ReadBatchesAsync(file.Path, cancellationToken).ConfigureAwait(false))
                    using (batch)
                        foreach (var row in RowBatches.Read(batch).Where(row => !removed.Contains(Short(row.Id))))
                        {
                            stage.Add(row);
                            statistics.Add(row.Content, row.SourceLine);
                        }
            kept[split] = stage.Complete();
        }
        return kept;
    }

    private static NearDuplicateReport Report(NearDuplicatePairs pairs, HashSet<UInt128> removed)
    {
        var across = pairs.AcrossSplits.Where(pair => !removed.Contains(pair.Later.Id)).ToList();
        return new()
        {
            Threshold = NearDuplicates.Threshold,
            Permutations = MinHash.Permutations,
            ShingleWords = MinHash.ShingleWords,
            Rows = pairs.Nearest.Count,
            Removed = removed.Count > 0,
            Examples = Examples(pairs.Nearest),
            AcrossSplits = across.Count,
            AcrossSplitsExamples = Examples(across),
        };
    }

    private static IReadOnlyList<SimilarRows> Examples(IReadOnlyList<NearPair> pairs) =>
    [
        .. pairs.Take(MaxExamples).Select(pair => new SimilarRows
        {
            Line = pair.Later.Line,
            Split = DatasetTables.Splits[pair.Later.Split],
            EarlierLine = pair.Earlier.Line,
            EarlierSplit = DatasetTables.Splits[pair.Earlier.Split],
            Similarity = Math.Round(pair.Similarity, 2),
        }),
    ];

    private static int SplitNumber(string split) => DatasetTables.Splits.Index().First(entry => entry.Item == split).Index;

    private static UInt128 Short(string id) => UInt128.Parse(id.AsSpan(0, 32), NumberStyles.HexNumber, CultureInfo.InvariantCulture);
}

/// <param name="Splits">Staged rows per split; they are the intake's.</param>
internal sealed record KeptRows(
    IReadOnlyDictionary<string, StagedRows> Splits,
    long NearDuplicatesRemoved,
    NearDuplicateReport? NearDuplicates,
    PiiReport? Pii,
    RowStatistics Statistics);

[StructLayout(LayoutKind.Auto)]
internal readonly record struct JudgedRow(RowContent Content, long Line);
