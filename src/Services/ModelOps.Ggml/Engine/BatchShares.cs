namespace ModelOps.Ggml;

/// <summary>How the prompts that are being read share what a step has left for them.</summary>
internal static class BatchShares
{
    /// <summary>
    /// Gives every waiting prompt the same share; what a short one does not need goes to the others. A long prompt therefore cannot keep a
    /// short one behind it waiting. The odd tokens go to the first, which has waited longest.
    /// </summary>
    /// <param name="waiting">Tokens that each prompt still has to read, in order of arrival.</param>
    /// <returns>Tokens for each; all of the budget, or all that wait.</returns>
    public static int[] Divide(int budget, IReadOnlyList<int> waiting)
    {
        var shares = new int[waiting.Count];
        while (budget > 0)
        {
            var hungry = Enumerable.Range(0, shares.Length).Where(i => shares[i] < waiting[i]).ToArray();
            if (hungry.Length == 0) break;
            var share = Math.Max(1, budget / hungry.Length);
            foreach (var i in hungry.Take(budget))
            {
                var given = Math.Min(share, waiting[i] - shares[i]);
                shares[i] += given;
                budget -= given;
            }
        }
        return shares;
    }
}
