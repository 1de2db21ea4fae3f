using Microsoft.EntityFrameworkCore;
using ModelOps.Registry;

namespace ModelOps.Server.Hosting;

/// <summary>The metadata database of the configuration, up to date before anything reads it.</summary>
public static class MetadataServices
{
    /// <summary>
    /// Makes the model and the code of queries, a fifth of a second's work beside what else a start does; a query that comes meanwhile waits for
    /// it. Connects to nothing.
    /// </summary>
    public static async Task PrepareAsync(MetadataOptions options, string sqliteFile)
    {
        await using var database = MetadataDatabase.Open(options, sqliteFile);
        database.Prepare();
    }

    /// <summary>Opens it and applies what migrations it lacks.</summary>
    /// <exception cref="ServerStartException">Why the database cannot be used.</exception>
    public static async Task<MetadataDatabase> OpenAsync(MetadataOptions options, ServerHome home)
    {
        var database = MetadataDatabase.Open(options, home.Database);
        try
        {
            await database.MigrateAsync();
            database.Prepare();
            await RestoredKeys.ApplyAsync(home.Keys, database);
            return database;
        }
        catch (MetadataDatabaseException e)
        {
            await database.DisposeAsync();
            throw new ServerStartException(e.Message, e);
        }
    }

    public static void AddMetadata(this IServiceCollection services, MetadataDatabase database, ServerHome home)
    {
        services.AddSingleton(_ => database); // by a factory: the container disposes it
        services.AddSingleton<IDbContextFactory<MetadataContext>>(provider => provider.GetRequiredService<MetadataDatabase>());
        services.AddSingleton<AuditLog>();
        services.AddSingleton(provider => new MetadataBackup(database, home.Keys, provider.GetRequiredService<TimeProvider>()));
        services.AddSingleton(provider => new MetadataRestore(database, provider.GetRequiredService<AuditLog>(), home.Keys));
        services.AddSingleton<ServerRestart>();
    }
}
