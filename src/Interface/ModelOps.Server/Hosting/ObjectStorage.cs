using ModelOps.Storage;

namespace ModelOps.Server.Hosting;

internal static class ObjectStorage
{
    /// <summary>They are opened at start, which fails with every fault of the options.</summary>
    public static void AddObjectStores(this IServiceCollection services, ObjectStoreOptions options, ServerHome home)
    {
        services.AddSingleton(options);
        services.AddSingleton(_ => Open(options, home));
        services.AddSingleton(provider => provider.GetRequiredService<ObjectStores>().Objects);
        if (options.Encryption is { } keys && keys.PreviousMasterKeyFiles.Count + keys.PreviousMasterKeys.Count > 0)
            services.AddHostedService<MasterKeyRotation>();
    }

    /// <exception cref="ServerStartException">Every fault of the options.</exception>
    private static ObjectStores Open(ObjectStoreOptions options, ServerHome home)
    {
        try
        {
            return ObjectStores.Open(options, home.Root);
        }
        catch (ObjectStoreOptionsException e)
        {
            throw new ServerStartException(string.Join('\n', e.Faults.Select(fault => $"objects: {fault}")), e);
        }
    }
}
