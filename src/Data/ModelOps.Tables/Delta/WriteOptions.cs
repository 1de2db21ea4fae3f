namespace ModelOps.Tables.Delta;

/// <summary>What rows of other columns than the table's do to it.</summary>
public enum SchemaMode
{
    /// <summary>They are refused; columns that may be null may be left out.</summary>
    Enforce,

    /// <summary>The table gets the columns that it lacks, and columns become nullable where the rows' are.</summary>
    Merge,

    /// <summary>The rows' columns become the table's. Only where all rows are replaced.</summary>
    Replace,
}

/// <summary>How a commit is made and what it says of its maker; all of it is optional.</summary>
public sealed record WriteOptions
{
    public const int DefaultMaxReplans = 10;

    /// <summary>Who asked for it.</summary>
    public string? User { get; init; }

    /// <summary>The job that did it.</summary>
    public string? Job { get; init; }

    /// <summary>The W3C trace that it belongs to.</summary>
    public string? TraceId { get; init; }

    /// <summary>
    /// Makes a write that is tried again happen once: committed with it, and looked for before. The files of staged rows are named by it and by
    /// what is in them, so that the files of a try that died are those of the next one.
    /// </summary>
    public ApplicationVersion? Application { get; init; }

    /// <value>The default is <see cref="SchemaMode.Enforce"/>.</value>
    public SchemaMode Schema { get; init; }

    /// <summary>
    /// How often an operation that depends on the table's rows is planned again, on the rows as they are then, after another writer changed
    /// them; then the conflict is returned. Commits that only add rows are tried until they succeed.
    /// </summary>
    /// <value>The default is 10.</value>
    public int MaxReplans { get; init; } = DefaultMaxReplans;
}

/// <summary>How far an application has got, in its own count (PROTOCOL.md, "Transaction Identifiers").</summary>
/// <param name="Id">Of the application, the same at every try.</param>
/// <param name="Version">Grows from write to write.</param>
public sealed record ApplicationVersion(string Id, long Version);
