using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace ModelOps.Training.Loop;

/// <summary>
/// θ ← θ − lr · (m̂ / (√v̂ + ε) + decay · θ), m and v being running means of g and g² (Loshchilov and Hutter 2019). Only matrices decay.
/// </summary>
/// <remarks>
/// TorchSharp's own passes numbers as temporary Scalars, which a finalizer may free while the native call still reads them; here each
/// lives until its calls are done.
/// </remarks>
internal sealed class AdamW : Optimizer
{
    private const double Beta1 = 0.9;
    private const double Epsilon = 1e-8;

    private readonly Moment[] moments;
    private readonly double beta2;
    private readonly double weightDecay;

    public AdamW(IReadOnlyList<Parameter> parameters, double beta2, double weightDecay)
        : base(parameters)
    {
        this.beta2 = beta2;
        this.weightDecay = weightDecay;
        using var scope = NewDisposeScope();
        moments = [.. parameters.Select(parameter =>
            new Moment(parameter, zeros_like(parameter).DetachFromDisposeScope(), zeros_like(parameter).DetachFromDisposeScope()))];
    }

    public override IEnumerable<(string Name, Tensor Tensor)> State =>
        moments.SelectMany((moment, i) => new[] { ($"mean.{i}", moment.Mean), ($"square.{i}", moment.Square) });

    public override void Dispose()
    {
        foreach (var (_, mean, square) in moments)
        {
            mean.Dispose();
            square.Dispose();
        }
    }

    protected override void Update(double learningRate)
    {
        using Scalar decay1 = Beta1, decay2 = beta2, share1 = 1 - Beta1, share2 = 1 - beta2;
        using Scalar correction2 = Math.Sqrt(1 - Math.Pow(beta2, Steps)), epsilon = Epsilon;
        using Scalar rate = -learningRate / (1 - Math.Pow(Beta1, Steps)), shrink = 1 - learningRate * weightDecay;
        foreach (var (parameter, mean, square) in moments)
        {
            using var temporaries = NewDisposeScope();
            if (parameter.grad is not { } gradient) continue;
            mean.mul_(decay1).add_(gradient, share1);
            square.mul_(decay2).addcmul_(gradient, gradient, share2);
            if (weightDecay > 0 && parameter.dim() > 1) parameter.mul_(shrink);
            parameter.addcdiv_(mean, square.sqrt().div_(correction2).add_(epsilon, One), rate);
        }
    }

    private readonly record struct Moment(Parameter Parameter, Tensor Mean, Tensor Square);
}
