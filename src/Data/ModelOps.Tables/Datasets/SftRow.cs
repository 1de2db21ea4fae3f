namespace ModelOps.Tables.Datasets;

/// <summary>One conversation to fine-tune on.</summary>
/// <param name="Id">SHA-256 of the messages in lower-case hex: equal rows have equal ids, in any file.</param>
/// <param name="SourceLine">Line of the ingested file on which the row begins, from 1.</param>
public sealed record SftRow(string Id, IReadOnlyList<RowMessage> Messages, long SourceLine);

/// <param name="Role">system, user, assistant or tool.</param>
public sealed record RowMessage(string Role, string Content);
