namespace ModelOps.Models;

/// <summary>Low-rank adaptation (Hu et al. 2021): which projections get an update, and of what size.</summary>
public sealed record LoraOptions
{
    public const int DefaultRank = 16;
    public const double DefaultAlpha = 32;

    /// <summary>Every projection of attention and feed-forward; neither embeddings nor the head.</summary>
    public const string AllLinear = "all-linear";

    /// <value>The default value is 16.</value>
    public int Rank { get; init; } = DefaultRank;

    /// <summary>The update is scaled by alpha / rank, or alpha / √rank where it is <see cref="RankStabilized"/>.</summary>
    /// <value>The default value is 32.</value>
    public double Alpha { get; init; } = DefaultAlpha;

    /// <summary>Share of an update's inputs that a training step leaves out, 0 to 1 (exclusive).</summary>
    /// <value>The default value is 0.</value>
    public double Dropout { get; init; }

    /// <summary><see cref="AllLinear"/>, or names of projections separated by commas, for example <c>q_proj,v_proj</c>.</summary>
    /// <value>The default value is <c>all-linear</c>.</value>
    public string TargetModules { get; init; } = AllLinear;

    /// <summary>Kalajdzievski 2023.</summary>
    /// <value>The default value is false.</value>
    public bool RankStabilized { get; init; }

    /// <summary>Whether the lengths of the adapted weight's rows are trained apart from their directions: DoRA (Liu et al. 2024).</summary>
    /// <value>The default value is false.</value>
    public bool Decomposed { get; init; }

    internal double Scale => RankStabilized ? Alpha / Math.Sqrt(Rank) : Alpha / Rank;

    /// <returns>The chosen projections' names out of <paramref name="available"/>.</returns>
    /// <exception cref="ArgumentException">Something is out of its range, or a name is not available; says all that is wrong.</exception>
    internal IReadOnlyList<string> ResolveTargets(IReadOnlyList<string> available)
    {
        var targets = TargetModules == AllLinear
            ? available
            : TargetModules.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);
        List<string> errors = [];
        if (Rank < 1) errors.Add($"rank is {Rank}; it must be at least 1");
        if (!double.IsFinite(Alpha) || Alpha <= 0) errors.Add($"alpha is {Alpha}; it must be above 0");
        if (Dropout is not (>= 0 and < 1)) errors.Add($"dropout is {Dropout}; it must be at least 0 and below 1");
        if (targets.Count == 0) errors.Add("no target module is named");
        errors.AddRange(targets.Except(available).Select(name => $"no projection is called '{name}'; there are {string.Join(", ", available)}"));
        return errors.Count == 0 ? targets : throw new ArgumentException("LoRA options: " + string.Join("; ", errors), nameof(available));
    }
}
