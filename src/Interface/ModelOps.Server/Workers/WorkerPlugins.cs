using ModelOps.Server.Configuration;
using ModelOps.Server.Hosting;

namespace ModelOps.Server.Workers;

/// <summary>Whether algorithms can have names that are not built in. Which, only a worker knows, which loads plugins; it also says why it loads one not.</summary>
public sealed class WorkerPlugins(ServerConfig config, ServerHome home)
{
    /// <summary>One is allowed, or lies there.</summary>
    public bool Any => config.Plugins.Allowed.Count > 0 || (Directory.Exists(home.Plugins) && Directory.EnumerateDirectories(home.Plugins).Any());
}
