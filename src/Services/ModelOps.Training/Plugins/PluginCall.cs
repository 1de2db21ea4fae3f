using static TorchSharp.torch;

namespace ModelOps.Training.Plugins;

/// <summary>Calls plugins: what they throw and give wrongly becomes a <see cref="PluginException"/> that names them.</summary>
internal static class PluginCall
{
    /// <returns>A scalar that gradients flow back from. It is a number unless the logits are none either: then training has diverged.</returns>
    public static Tensor Loss(ChosenAlgorithm<LossPlugin> chosen, LossContext context)
    {
        var loss = Guarded(chosen, plugin => plugin.Apply(context));
        if (loss is null || loss.dim() != 0) throw Fault(chosen, $"gave {Shape(loss)}; a loss is a scalar, the mean over the targets");
        if (loss.dtype != ScalarType.Float32) throw Fault(chosen, $"gave {loss.dtype}; a loss is Float32");
        if (!loss.requires_grad) throw Fault(chosen, "gave a number that no gradient flows back from: compute it from the logits, with gradients recorded");
        var value = loss.item<float>();
        if (!float.IsFinite(value) && AllFinite(context.Logits)) throw Fault(chosen, $"gave {value} of finite logits; a loss is a finite number");
        return loss;
    }

    public static Tensor Update(ChosenAlgorithm<OptimizerPlugin> chosen, OptimizerContext context)
    {
        var change = Guarded(chosen, plugin => plugin.Apply(context));
        if (change is null || !change.shape.SequenceEqual(context.Parameter.shape))
            throw Fault(chosen, $"gave {Shape(change)} for a parameter of ({string.Join(", ", context.Parameter.shape)}); an update has the parameter's shape");
        return AllFinite(change) ? change : throw Fault(chosen, "gave an update that has numbers that are not finite");
    }

    public static double Schedule(ChosenAlgorithm<SchedulerPlugin> chosen, SchedulerContext context)
    {
        var share = Guarded(chosen, plugin => plugin.Apply(context));
        return double.IsFinite(share) && share >= 0 ? share : throw Fault(chosen, $"gave {share} at step {context.Step}; a share of the learning rate is finite and at least 0");
    }

    public static double Metric(ChosenAlgorithm<MetricPlugin> chosen, MetricContext context)
    {
        var value = Guarded(chosen, plugin => plugin.Apply(context));
        return double.IsFinite(value) ? value : throw Fault(chosen, $"gave {value}; a metric is a finite number");
    }

    private static TResult Guarded<T, TResult>(ChosenAlgorithm<T> chosen, Func<T, TResult> call)
        where T : class, IAlgorithmPlugin
    {
        try
        {
            return call(chosen.Plugin);
        }
        catch (Exception thrown) when (thrown is not OutOfMemoryException)
        {
            throw Fault(chosen, $"threw {thrown.GetType().Name}: {thrown.Message}", thrown);
        }
    }

    private static PluginException Fault<T>(ChosenAlgorithm<T> chosen, string what, Exception? thrown = null)
        where T : class, IAlgorithmPlugin
    {
        var of = chosen.Source is { } source ? $"plugin {source.Name} (sha256 {source.Sha256[..12]}…)" : "ModelOps";
        return new($"the {AlgorithmRegistry.Word(chosen.Plugin.Kind)} {chosen.Plugin.Name} of {of} {what}", thrown);
    }

    private static bool AllFinite(Tensor tensor)
    {
        using var scope = NewDisposeScope();
        return tensor.isfinite().all().item<bool>();
    }

    private static string Shape(Tensor? tensor) => tensor is null ? "nothing" : $"a tensor of ({string.Join(", ", tensor.shape)})";
}
