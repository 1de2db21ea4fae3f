using System.Text.Json;

namespace ModelOps.Tables.Delta;

/// <summary>What writers see of each other (delta.isolationLevel).</summary>
internal enum IsolationLevel
{
    /// <summary>There is an order of all commits, that of the versions, in which each read what those before it wrote.</summary>
    Serializable,

    /// <summary>As <see cref="Serializable"/>, but a commit may follow appends that it did not read.</summary>
    WriteSerializable,

    /// <summary>Commits that move rows and change none.</summary>
    SnapshotIsolation,
}

/// <summary>What of a table a transaction looked at to decide what it does.</summary>
internal sealed record TransactionReads
{
    public static TransactionReads Nothing { get; } = new();

    public static TransactionReads WholeTable { get; } = new() { IsWholeTable = true };

    public bool IsWholeTable { get; private init; }

    /// <summary>Rows of these were looked for.</summary>
    public IReadOnlyList<Predicate> Predicates { get; init; } = [];

    /// <summary>Files whose rows were read.</summary>
    public IReadOnlyList<AddFile> Files { get; init; } = [];
}

/// <summary>
/// What a writer wants to commit, and what of the table made it want that: enough to decide whether it may go on top of what others
/// committed meanwhile.
/// </summary>
public sealed record TableTransaction
{
    internal TableTransaction(Snapshot snapshot, string operation, WriteOptions options, IEnumerable<LogLine> actions)
    {
        var application = options.Application;
        (Snapshot, ReadVersion, ReadTimestamp) = (snapshot, snapshot.Version, snapshot.Timestamp);
        (Operation, Options) = (operation, options);
        Actions = [.. actions, .. application is null ? [] : new LogLine[] { new() { Txn = new(application.Id, application.Version) } }];
        var metadata = Actions.Select(action => action.MetaData).LastOrDefault(changed => changed is not null) ?? snapshot.Metadata;
        Properties = new(metadata.Configuration);
        HasInCommitTimestamps = TableFeatures.HasInCommitTimestamps(snapshot.Protocol, metadata);
    }

    /// <summary>Tells this transaction's commit from others' in the log.</summary>
    public string Id { get; } = $"{Guid.NewGuid()}";

    /// <summary>The version that it goes on top of.</summary>
    public long ReadVersion { get; private init; }

    /// <summary>The word for it in the table's history: WRITE, DELETE, MERGE, ….</summary>
    public string Operation { get; }

    /// <summary>What was read.</summary>
    internal Snapshot Snapshot { get; }

    internal WriteOptions Options { get; }

    internal IReadOnlyList<LogLine> Actions { get; }

    internal TableProperties Properties { get; }

    internal TransactionReads Reads { get; init; } = TransactionReads.Nothing;

    /// <summary>Values are JSON texts.</summary>
    internal IReadOnlyDictionary<string, string> Parameters { get; init; } = new Dictionary<string, string>(StringComparer.Ordinal);

    internal IReadOnlyDictionary<string, string> Metrics { get; init; } = new Dictionary<string, string>(StringComparer.Ordinal);

    /// <summary>Whether the files that it adds are those of older versions, not new ones of its own.</summary>
    internal bool BringsBackFiles { get; init; }

    internal IsolationLevel Isolation => ChangesRows ? Properties.Isolation : IsolationLevel.SnapshotIsolation;

    private bool HasInCommitTimestamps { get; }

    private DateTimeOffset ReadTimestamp { get; init; }

    private bool ChangesRows => Actions.Any(action => action is { Add.DataChange: true } or { Remove.DataChange: true } or { MetaData: not null });

    private bool IsBlindAppend =>
        ReferenceEquals(Reads, TransactionReads.Nothing)
        && Actions.Any(action => action.Add is not null)
        && !Actions.Any(action => action.Remove is not null);

    /// <summary>The same on top of a commit that does not conflict with it.</summary>
    internal TableTransaction Rebase(long version, IReadOnlyList<LogLine> winner)
    {
        var timestamp = winner.Select(line => line.CommitInfo is { } info ? CommitInfo.From(info).InCommitTimestamp : null).Max();
        return this with
        {
            ReadVersion = version,
            ReadTimestamp = timestamp is { } milliseconds ? DateTimeOffset.FromUnixTimeMilliseconds(milliseconds) : ReadTimestamp,
        };
    }

    /// <summary>The commit's actions, what is known of its making first.</summary>
    internal IReadOnlyList<LogLine> ToLines(DateTimeOffset now)
    {
        var (timestamp, last) = (now.ToUnixTimeMilliseconds(), ReadTimestamp.ToUnixTimeMilliseconds());
        var info = new CommitInfo
        {
            InCommitTimestamp = HasInCommitTimestamps ? Math.Max(timestamp, last + 1) : null,
            Timestamp = timestamp,
            UserName = Options.User,
            Job = Options.Job is { } job ? new(job) : null,
            TraceId = Options.TraceId,
            Operation = Operation,
            OperationParameters = Parameters,
            OperationMetrics = Metrics,
            ReadVersion = ReadVersion >= 0 ? ReadVersion : null,
            IsolationLevel = $"{Isolation}",
            IsBlindAppend = IsBlindAppend,
            EngineInfo = "ModelOps",
            TxnId = Id,
        };
        return [new() { CommitInfo = JsonSerializer.SerializeToElement(info, DeltaJson.Default.CommitInfo) }, .. Actions];
    }

    /// <summary>Whether the commit is this transaction's: a store may have taken a put whose answer was lost.</summary>
    internal bool IsCommittedAs(IReadOnlyList<LogLine> commit) =>
        commit.Any(line => line.CommitInfo is { } info && CommitInfo.From(info).TxnId == Id);
}
