using ModelOps.Training.Data;

namespace ModelOps.Services.Tests.Training;

public class SequencePackerTests
{
    [Fact]
    public void Pack_RandomDocuments_KeepsEachOnceAndFillsRows()
    {
        const int length = 64;
        for (var seed = 0; seed < 50; seed++)
        {
            var random = new Random(seed);
            var documents = Enumerable.Range(0, random.Next(1, 200))
                .Select(_ => TrainingSequence.OfText([.. Enumerable.Range(0, random.Next(1, length + 1))])).ToList();

            var rows = SequencePacker.Pack(documents, length);

            Assert.All(rows, row => Assert.InRange(row.Length, 1, length));
            Assert.Equal(documents.Count, rows.Sum(row => row.Documents.Count));
            Assert.Equal(documents.ToHashSet(ReferenceEqualityComparer.Instance), rows.SelectMany(row => row.Documents).ToHashSet(ReferenceEqualityComparer.Instance));
            // Best-fit decreasing needs at most 11/9 of the best packing and one row more (Johnson 1973).
            var least = Math.Ceiling(documents.Sum(document => document.Length) / (double)length);
            Assert.InRange(rows.Count, least, Math.Max(least, documents.Count(document => document.Length > length / 2)) * 11 / 9 + 1);
        }
    }

    [Theory]
    [InlineData(0)]
    [InlineData(9)]
    public void Pack_DocumentThatFitsNoRow_IsRefused(int length) =>
        Assert.Throws<ArgumentException>(() => SequencePacker.Pack([TrainingSequence.OfText(new int[length])], 8));
}
