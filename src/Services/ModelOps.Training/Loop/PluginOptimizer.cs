using ModelOps.Training.Plugins;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace ModelOps.Training.Loop;

/// <summary>θ ← θ + what a plugin says of θ and its gradient.</summary>
internal sealed class PluginOptimizer : Optimizer
{
    private readonly ChosenAlgorithm<OptimizerPlugin> chosen;
    private readonly double weightDecay;
    private readonly IReadOnlyList<(Parameter Parameter, IReadOnlyDictionary<string, Tensor> State)> states;

    public PluginOptimizer(IReadOnlyList<Parameter> parameters, ChosenAlgorithm<OptimizerPlugin> chosen, double weightDecay)
        : base(parameters)
    {
        (this.chosen, this.weightDecay) = (chosen, weightDecay);
        using var scope = NewDisposeScope();
        states = [.. parameters.Select(parameter =>
            (parameter, (IReadOnlyDictionary<string, Tensor>)chosen.Plugin.State.ToDictionary(name => name, _ => zeros_like(parameter).DetachFromDisposeScope())))];
    }

    public override IEnumerable<(string Name, Tensor Tensor)> State =>
        states.SelectMany((kept, i) => kept.State.Select(state => ($"{state.Key}.{i}", state.Value)));

    public override void Dispose()
    {
        foreach (var tensor in states.SelectMany(kept => kept.State.Values)) tensor.Dispose();
    }

    protected override void Update(double learningRate)
    {
        foreach (var (parameter, state) in states)
        {
            using var temporaries = NewDisposeScope();
            if (parameter.grad is not { } gradient) continue;
            var change = PluginCall.Update(chosen, new(parameter, gradient, state, Steps, learningRate, weightDecay, chosen.Options));
            parameter.add_(change, One);
        }
    }
}
