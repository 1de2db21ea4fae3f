using ModelOps.Models.Weights;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace ModelOps.Models.Lora;

// Shapes: O outputs, I inputs, R rank.

/// <summary>
/// W x + s B A x (Hu et al. 2021). A starts random and B at zero, so that the update starts at zero. Decomposed (Liu et al. 2024), the rows of
/// W + s B A are scaled to trained lengths m, which start as those of W: n being the rows' lengths, through which no gradient flows,
/// W x + (m / n − 1) W x + (m / n) s B A x.
/// </summary>
internal sealed class LoraUpdate : IDisposable
{
    private readonly LinearWeight weight;
    private readonly Scalar scale;
    private readonly Scalar dropped;
    private readonly Scalar boost;
    private readonly Scalar minusOne = -1;
    private readonly bool drops;
    private readonly StepRandomness randomness;

    /// <summary>A is uniform in ±1/√I, as PEFT draws it (Kaiming uniform with a = √5).</summary>
    public LoraUpdate(LinearWeight weight, Device device, LoraOptions options, StepRandomness randomness)
    {
        this.weight = weight;
        (scale, dropped, boost) = (options.Scale, options.Dropout, 1 / (1 - options.Dropout));
        (drops, this.randomness) = (options.Dropout > 0, randomness);
        using var scope = NewDisposeScope();
        using Scalar width = 2 / Math.Sqrt(weight.Inputs), half = 0.5;
        A_RI = new Parameter(rand(options.Rank, weight.Inputs, generator: randomness.Generator).to(device).sub_(half).mul_(width));
        B_OR = new Parameter(zeros(weight.Outputs, options.Rank, device: device));
        Magnitude_O = options.Decomposed ? new Parameter(RowLengths()) : null;
        scope.Detach(A_RI, B_OR);
        if (Magnitude_O is not null) scope.Detach(Magnitude_O);
    }

    public Parameter A_RI { get; }

    public Parameter B_OR { get; }

    /// <summary>m; null for a plain update.</summary>
    public Parameter? Magnitude_O { get; }

    public IEnumerable<Parameter> Parameters => Magnitude_O is null ? [A_RI, B_OR] : [A_RI, B_OR, Magnitude_O];

    /// <param name="product">W x, without a bias.</param>
    public Tensor Forward(Tensor x, Tensor product)
    {
        var seen = Dropped(x);
        var narrow = nn.functional.linear(seen, A_RI) * scale;
        if (Magnitude_O is null) return Sum(product, narrow);
        var update = nn.functional.linear(narrow, B_OR);
        var stretch_O = Magnitude_O / RowLengths();
        var seenProduct = ReferenceEquals(seen, x) ? product : weight.Apply(seen);
        return product.Plus(stretch_O.Plus(minusOne) * seenProduct).Plus(stretch_O * update);
    }

    public void Dispose()
    {
        A_RI.Dispose();
        B_OR.Dispose();
        Magnitude_O?.Dispose();
        scale.Dispose();
        dropped.Dispose();
        boost.Dispose();
        minusOne.Dispose();
    }

    /// <summary>product + narrow Bᵀ in one pass over the outputs.</summary>
    private Tensor Sum(Tensor product, Tensor narrow) =>
        addmm(product.reshape(-1, product.shape[^1]), narrow.reshape(-1, narrow.shape[^1]), B_OR.t(), 1, 1).view(product.shape);

    /// <summary>Lengths of the rows of W + s B A.</summary>
    private Tensor RowLengths()
    {
        using var scope = NewDisposeScope();
        using var frozen = no_grad();
        using var dense_OI = weight.Dense();
        var adapted_OI = dense_OI.Plus(B_OR.matmul(A_RI) * scale);
        return (adapted_OI * adapted_OI).sum(1).sqrt().MoveToOuterDisposeScope();
    }

    private Tensor Dropped(Tensor x)
    {
        if (!drops || !randomness.IsTraining) return x;
        var kept = rand(x.shape, generator: randomness.Generator).to(x.device).ge(dropped);
        return x * kept * boost;
    }
}
