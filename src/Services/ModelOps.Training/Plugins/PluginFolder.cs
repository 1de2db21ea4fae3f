using System.Reflection;
using System.Runtime.Loader;
using System.Security.Cryptography;

namespace ModelOps.Training.Plugins;

/// <summary>
/// Plugins are assemblies <c>NAME/NAME.dll</c> of a folder. One is loaded only if its digest is allowed: the bytes that were hashed are the bytes that
/// run. It sees ModelOps' assemblies and those beside them, and no other file of its folder.
/// </summary>
public static class PluginFolder
{
    /// <param name="path">May be absent.</param>
    /// <param name="allowed">SHA-256 (hex) by the plugin's name.</param>
    /// <returns>What is built in, and what could be loaded; of what could not, <see cref="AlgorithmRegistry.Refused"/> says why.</returns>
    public static AlgorithmRegistry Load(string path, IReadOnlyDictionary<string, string> allowed)
    {
        var registry = new AlgorithmRegistry();
        var names = Directory.Exists(path)
            ? Directory.EnumerateDirectories(path).Select(folder => Path.GetFileName(folder)!).Where(name => File.Exists(FileOf(path, name))).Order(StringComparer.Ordinal).ToList()
            : [];
        foreach (var missing in allowed.Keys.Except(names)) registry.Refuse($"the plugin {missing} is allowed and {FileOf(path, missing)} is not there");
        foreach (var name in names)
        {
            try
            {
                Load(registry, FileOf(path, name), name, allowed.GetValueOrDefault(name));
            }
            catch (PluginException fault)
            {
                registry.Refuse(fault.Message);
            }
        }
        return registry;
    }

    private static string FileOf(string path, string name) => Path.Combine(path, name, $"{name}.dll");

    private static void Load(AlgorithmRegistry registry, string file, string name, string? digest)
    {
        var bytes = File.ReadAllBytes(file);
        var source = new PluginAssembly(name, Convert.ToHexStringLower(SHA256.HashData(bytes)));
        if (!string.Equals(digest, source.Sha256, StringComparison.OrdinalIgnoreCase))
            throw new PluginException(
                $"the plugin {name} is not loaded: {(digest is null ? "it is not allowed" : $"allowed is another one, {digest}")}; "
                + $"to allow this one set plugins:allowed:{name} to {source.Sha256}");
        foreach (var plugin in Make(bytes, source)) registry.Add(plugin, source);
    }

    private static List<IAlgorithmPlugin> Make(byte[] bytes, PluginAssembly source)
    {
        try
        {
            using var image = new MemoryStream(bytes);
            var types = new AssemblyLoadContext(source.Name).LoadFromStream(image).GetExportedTypes(); // what it refers to comes from ModelOps' own context
            var plugins = types.Where(type => !type.IsAbstract && type.IsAssignableTo(typeof(IAlgorithmPlugin))).Select(type => (IAlgorithmPlugin)Activator.CreateInstance(type)!).ToList();
            return plugins.Count > 0 ? plugins : throw new PluginException($"the plugin {source.Name} has no public class that is a plugin: derive one from LossPlugin, OptimizerPlugin, SchedulerPlugin or MetricPlugin");
        }
        catch (Exception fault) when (fault is not (PluginException or OutOfMemoryException)) // of its constructors too
        {
            var cause = (fault as TargetInvocationException)?.InnerException ?? fault;
            throw new PluginException($"the plugin {source.Name} cannot be loaded: {cause.GetType().Name}: {cause.Message}; was it built for this version of ModelOps?", fault);
        }
    }
}
