using ModelOps.Ggml;

namespace ModelOps.Services.Tests.Ggml;

public sealed class BatchSharesTests
{
    [Theory]
    [InlineData(512, new[] { 4000 }, new[] { 512 })]
    [InlineData(512, new[] { 100, 20 }, new[] { 100, 20 })]
    [InlineData(100, new[] { 4000, 10 }, new[] { 90, 10 })]
    [InlineData(100, new[] { 10, 4000, 4000 }, new[] { 10, 45, 45 })]
    [InlineData(7, new[] { 9, 9, 9 }, new[] { 3, 2, 2 })]
    [InlineData(2, new[] { 9, 9, 9 }, new[] { 1, 1, 0 })]
    [InlineData(0, new[] { 9 }, new[] { 0 })]
    [InlineData(5, new int[0], new int[0])]
    public void Divide_Examples_AreFair(int budget, int[] waiting, int[] expected) =>
        Assert.Equal(expected, BatchShares.Divide(budget, waiting));

    [Fact]
    public void Divide_RandomPrompts_SpendsTheBudgetAndFavoursNobody()
    {
        var random = new Random(21);
        for (var round = 0; round < 2000; round++)
        {
            int[] waiting = [.. Enumerable.Range(0, random.Next(1, 9)).Select(_ => random.Next(1, 100))];
            var budget = random.Next(0, 300);

            var shares = BatchShares.Divide(budget, waiting);

            Assert.Equal(Math.Min(budget, waiting.Sum()), shares.Sum());
            Assert.All(shares.Zip(waiting), pair => Assert.InRange(pair.First, 0, pair.Second));
            var most = shares.Max();
            Assert.All(shares.Zip(waiting), pair => Assert.True(pair.First == pair.Second || pair.First >= most - 1));
        }
    }
}
