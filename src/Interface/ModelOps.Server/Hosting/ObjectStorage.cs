using ModelOps.Storage;

namespace ModelOps.Server.Hosting;

internal static class ObjectStorage
{
    /// <exception cref="ServerStartException">Every fault of the options.</exception>
    public static void AddObjectStores(this IServiceCollection services, IConfiguration section, ServerHome home)
    {
        var (options, stores) = Open(section, home);
        services.AddSingleton(options);
        services.AddSingleton(_ => stores); // so that the container disposes it
        services.AddSingleton(stores.Objects);
        if (options.Encryption is { } keys && keys.PreviousMasterKeyFiles.Count + keys.PreviousMasterKeys.Count > 0)
            services.AddHostedService<MasterKeyRotation>();
    }

    private static (ObjectStoreOptions Options, ObjectStores Stores) Open(IConfiguration section, ServerHome home)
    {
        try
        {
            var options = section.Get<ObjectStoreOptions>() ?? new();
            return (options, ObjectStores.Open(options, home.Root));
        }
        catch (ObjectStoreOptionsException e)
        {
            throw new ServerStartException(string.Join('\n', e.Faults.Select(fault => $"{ObjectStoreEnvironment.Section}:{fault}")), e);
        }
        catch (InvalidOperationException e)
        {
            throw new ServerStartException(e.Message, e); // a value of another type; it names the key
        }
    }
}
