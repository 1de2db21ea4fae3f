using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace ModelOps.Training.Loop;

/// <summary>Changes parameters by their gradients, step by step.</summary>
internal abstract class Optimizer(IReadOnlyList<Parameter> parameters) : IDisposable
{
    protected static readonly Scalar One = 1;

    /// <summary>Updates made so far.</summary>
    public int Steps { get; set; }

    /// <summary>What it remembers, for a checkpoint.</summary>
    public abstract IEnumerable<(string Name, Tensor Tensor)> State { get; }

    public void ClearGradients()
    {
        using var scope = NewDisposeScope();
        foreach (var parameter in parameters) parameter.grad?.zero_();
    }

    /// <summary>Parameters without a gradient stay as they are.</summary>
    public void Step(double learningRate)
    {
        Steps++;
        using var frozen = no_grad();
        using var scope = NewDisposeScope();
        Update(learningRate);
    }

    public abstract void Dispose();

    protected abstract void Update(double learningRate);
}
