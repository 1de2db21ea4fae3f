using ModelOps.Training.Plugins;

namespace ModelOps.Worker.Hosting;

/// <summary>The algorithm plugins of the home folder that the server, or whoever started this worker, allows.</summary>
internal static partial class AllowedPlugins
{
    /// <summary><c>name=digest,…</c></summary>
    public const string Variable = "MODELOPS_PLUGINS";

    /// <summary>What is not loaded is logged, and told to whoever asks for it.</summary>
    public static AlgorithmRegistry Load(WorkerOptions options, ILogger logger)
    {
        var allowed = (Environment.GetEnvironmentVariable(Variable) ?? "").Split(',', StringSplitOptions.RemoveEmptyEntries)
            .Select(entry => entry.Split('=', 2)).Where(entry => entry.Length == 2)
            .ToDictionary(entry => entry[0], entry => entry[1], StringComparer.Ordinal);
        var registry = PluginFolder.Load(options.Plugins, allowed);
        foreach (var reason in registry.Refused) Log.Refused(logger, reason);
        return registry;
    }

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Warning, "{Reason}")]
        public static partial void Refused(ILogger logger, string reason);
    }
}
