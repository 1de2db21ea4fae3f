namespace ModelOps.Training.Data;

/// <summary>Documents that share one row of a batch.</summary>
public sealed record PackedRow(IReadOnlyList<TrainingSequence> Documents)
{
    public int Length => Documents.Sum(document => document.Length);

    public int LearnedCount => Documents.Sum(document => document.LearnedCount);
}

/// <summary>
/// Fills rows with whole documents so that little is padding: the longest first, each into the fullest row that has room
/// (best-fit decreasing). The same documents give the same rows.
/// </summary>
public static class SequencePacker
{
    /// <param name="length">Tokens in a row.</param>
    /// <exception cref="ArgumentException">A document is empty or longer than a row.</exception>
    public static IReadOnlyList<PackedRow> Pack(IEnumerable<TrainingSequence> documents, int length)
    {
        List<List<TrainingSequence>> rows = [];
        var rowsByRoom = new Stack<List<TrainingSequence>>[length + 1];
        for (var room = 0; room <= length; room++) rowsByRoom[room] = [];
        foreach (var document in documents.OrderByDescending(document => document.Length))
        {
            if (document.Length == 0 || document.Length > length)
                throw new ArgumentException($"a document has {document.Length} tokens; rows take 1 to {length}", nameof(documents));
            var room = document.Length;
            while (room <= length && rowsByRoom[room].Count == 0) room++;
            List<TrainingSequence> row;
            if (room <= length) row = rowsByRoom[room].Pop();
            else (row, room) = (Open(rows), length);
            row.Add(document);
            rowsByRoom[room - document.Length].Push(row);
        }
        return [.. rows.Select(row => new PackedRow(row))];
    }

    private static List<TrainingSequence> Open(List<List<TrainingSequence>> rows)
    {
        List<TrainingSequence> row = [];
        rows.Add(row);
        return row;
    }
}
