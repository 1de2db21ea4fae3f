namespace ModelOps.Training.Plugins;

/// <summary>Calls plugins: what they throw and give wrongly becomes a <see cref="PluginException"/> that names them.</summary>
internal static class PluginCall
{
    public static double Metric(ChosenAlgorithm<MetricPlugin> metric, MetricContext context)
    {
        var value = Guarded(metric.Plugin, metric.Source, () => metric.Plugin.Apply(context));
        return double.IsFinite(value) ? value : throw Fault(metric.Plugin, metric.Source, $"gave {value}; a metric is a finite number");
    }

    private static T Guarded<T>(IAlgorithmPlugin plugin, PluginAssembly? source, Func<T> call)
    {
        try
        {
            return call();
        }
        catch (Exception thrown) when (thrown is not OutOfMemoryException)
        {
            throw Fault(plugin, source, $"threw {thrown.GetType().Name}: {thrown.Message}", thrown);
        }
    }

    private static PluginException Fault(IAlgorithmPlugin plugin, PluginAssembly? source, string what, Exception? thrown = null) =>
        new($"the {AlgorithmRegistry.Word(plugin.Kind)} {plugin.Name} of {(source is null ? "ModelOps" : $"plugin {source.Name} ({source.Sha256[..12]})")} {what}", thrown);
}
