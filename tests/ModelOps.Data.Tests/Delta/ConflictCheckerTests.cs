using Apache.Arrow;
using Apache.Arrow.Types;
using ModelOps.Tables.Delta;

namespace ModelOps.Data.Tests.Delta;

/// <summary>Every kind of transaction against every kind of commit that may have come before it.</summary>
public sealed class ConflictCheckerTests
{
    private static readonly Schema Schema = new([new Field("id", Int64Type.Default, nullable: false)], metadata: null);

    // What another writer committed: p in the partition of id 1 to 9, q in that of 10 to 19.
    private static readonly Dictionary<string, LogLine[]> Winners = new()
    {
        ["append p"] = [Info(isBlindAppend: true), Add("new", 1, 9)],
        ["append q"] = [Info(isBlindAppend: true), Add("new", 10, 19)],
        ["append that read"] = [Info(isBlindAppend: false), Add("new", 1, 9)],
        ["append of an unknown writer"] = [Add("new", 1, 9)],
        ["delete in p"] = [Info(isBlindAppend: false), Remove("p"), Add("p2", 1, 8)],
        ["delete in q"] = [Info(isBlindAppend: false), Remove("q"), Add("q2", 10, 18)],
        ["compaction of p"] = [Info(isBlindAppend: false), Remove("p", dataChange: false), Add("p2", 1, 9, dataChange: false)],
        ["compaction of q"] = [Info(isBlindAppend: false), Remove("q", dataChange: false), Add("q2", 10, 19, dataChange: false)],
        ["metadata"] = [new() { MetaData = Metadata }],
        ["protocol"] = [new() { Protocol = new(1, 2) }],
        ["application"] = [new() { Txn = new("app", 7) }],
        ["other application"] = [new() { Txn = new("other", 7) }],
        ["domain"] = [new() { DomainMetadata = new("d", "{}", Removed: false) }],
        ["other domain"] = [new() { DomainMetadata = new("e", "{}", Removed: false) }],
    };

    private static readonly Dictionary<string, Func<string, TableTransaction>> Transactions = new()
    {
        ["append"] = level => Transaction(level, TransactionReads.Nothing, Add("mine", 1, 9)),
        ["overwrite"] = level => Transaction(level, TransactionReads.WholeTable, Remove("p"), Remove("q"), Add("mine", 1, 9)),
        ["change in p"] = level => Transaction(level, Reads("id < 10", "p"), Remove("p"), Add("mine", 1, 9)),
        ["change that found nothing in p"] = level => Transaction(level, Reads("id < 10", "p"), Add("mine", 1, 9)),
        ["compaction of p"] = level => Transaction(
            level, new() { Files = [File("p", 1, 9)] }, Remove("p", dataChange: false), Add("mine", 1, 9, dataChange: false)),
        ["schema change"] = level => Transaction(level, TransactionReads.Nothing, new LogLine { MetaData = Metadata }, Add("mine", 1, 9)),
        ["append of an application"] = level => Transaction(level, TransactionReads.Nothing, new LogLine { Txn = new("app", 8) }, Add("mine", 1, 9)),
        ["append with a domain"] = level => Transaction(
            level, TransactionReads.Nothing, new LogLine { DomainMetadata = new("d", "{1}", Removed: false) }, Add("mine", 1, 9)),
    };

    // Per transaction and winner the kind of conflict; what is not here goes on top. S: only where the table is Serializable.
    private static readonly Dictionary<(string Transaction, string Winner), string> Conflicts = new()
    {
        [("overwrite", "append p")] = "S ConcurrentAppend",
        [("overwrite", "append q")] = "S ConcurrentAppend",
        [("overwrite", "append that read")] = "ConcurrentAppend",
        [("overwrite", "append of an unknown writer")] = "ConcurrentAppend",
        [("overwrite", "delete in p")] = "ConcurrentAppend",
        [("overwrite", "delete in q")] = "ConcurrentAppend",
        [("overwrite", "compaction of p")] = "ConcurrentDeleteRead",
        [("overwrite", "compaction of q")] = "ConcurrentDeleteRead",
        [("change in p", "append p")] = "S ConcurrentAppend",
        [("change in p", "append that read")] = "ConcurrentAppend",
        [("change in p", "append of an unknown writer")] = "ConcurrentAppend",
        [("change in p", "delete in p")] = "ConcurrentAppend",
        [("change in p", "compaction of p")] = "ConcurrentDeleteRead",
        [("change that found nothing in p", "append p")] = "S ConcurrentAppend",
        [("change that found nothing in p", "append that read")] = "ConcurrentAppend",
        [("change that found nothing in p", "append of an unknown writer")] = "ConcurrentAppend",
        [("change that found nothing in p", "delete in p")] = "ConcurrentAppend",
        [("change that found nothing in p", "compaction of p")] = "ConcurrentDeleteRead",
        [("compaction of p", "delete in p")] = "ConcurrentDeleteRead",
        [("compaction of p", "compaction of p")] = "ConcurrentDeleteRead",
        [("append of an application", "application")] = "ConcurrentTransaction",
        [("append with a domain", "domain")] = "ConcurrentDomainMetadata",
    };

    public static TheoryData<string, string, string> Matrix
    {
        get
        {
            var matrix = new TheoryData<string, string, string>();
            foreach (var transaction in Transactions.Keys)
                foreach (var winner in Winners.Keys)
                    foreach (var level in new[] { "Serializable", "WriteSerializable" })
                        matrix.Add(transaction, winner, level);
            return matrix;
        }
    }

    private static Metadata Metadata => new(
        "x", new("parquet"), [], SchemaJson.Render(Schema), new Dictionary<string, string> { ["delta.isolationLevel"] = "Serializable" });

    [Theory]
    [MemberData(nameof(Matrix))]
    public void Check_EveryPair_IsAsTheIsolationRulesSay(string transaction, string winner, string level)
    {
        var expected = winner switch
        {
            "metadata" => "MetadataChanged",
            "protocol" => "ProtocolChanged",
            _ => Conflicts.GetValueOrDefault((transaction, winner)),
        };
        if (expected?.StartsWith("S ", StringComparison.Ordinal) == true) expected = level == "Serializable" ? expected[2..] : null;

        var conflict = ConflictChecker.Check(Transactions[transaction](level), Winners[winner], Uri.UnescapeDataString);

        Assert.Equal(expected, conflict?.Kind.ToString());
    }

    [Fact]
    public void Check_SameFileRemovedWithoutReadingIt_IsADeleteOfADelete()
    {
        var transaction = Transaction("Serializable", new() { Predicates = [Predicate.Parse("id > 100", Schema)] }, Remove("p"));
        Assert.Equal(ConflictKind.ConcurrentDeleteDelete, ConflictChecker.Check(transaction, [Remove("p")], Uri.UnescapeDataString)?.Kind);
    }

    [Fact]
    public void Check_PathsSpelledDifferently_AreTheSameFile()
    {
        var transaction = Transaction("Serializable", new() { Files = [File("a%20b", 1, 9)] }, Remove("a%20b"));
        Assert.Equal(ConflictKind.ConcurrentDeleteRead, ConflictChecker.Check(transaction, [Remove("%61%20b")], Uri.UnescapeDataString)?.Kind);
    }

    private static TableTransaction Transaction(string level, TransactionReads reads, params LogLine[] actions)
    {
        var metadata = Metadata with { Configuration = new Dictionary<string, string> { ["delta.isolationLevel"] = level } };
        var snapshot = new Snapshot(3, DateTimeOffset.UnixEpoch, Schema, new(1, 2), metadata, [File("p", 1, 9), File("q", 10, 19)]);
        var lines = actions.Select(action => action.MetaData is null ? action : new LogLine { MetaData = metadata });
        return new(snapshot, "TEST", new(), lines) { Reads = reads };
    }

    private static TransactionReads Reads(string where, string file) =>
        new() { Predicates = [Predicate.Parse(where, Schema)], Files = [File(file, 1, 9)] };

    private static AddFile File(string path, int min, int max, bool dataChange = true) => new(
        path, new Dictionary<string, string?>(), 1, 1, dataChange,
        $$$"""{"numRecords":5,"minValues":{"id":{{{min}}}},"maxValues":{"id":{{{max}}}},"nullCount":{"id":0}}""");

    private static LogLine Add(string path, int min, int max, bool dataChange = true) => new() { Add = File(path, min, max, dataChange) };

    private static LogLine Remove(string path, bool dataChange = true) => new() { Remove = new(path, dataChange) };

    private static LogLine Info(bool isBlindAppend) => new()
    {
        CommitInfo = System.Text.Json.JsonDocument.Parse($$"""{"isBlindAppend":{{(isBlindAppend ? "true" : "false")}}}""").RootElement,
    };
}
