using System.ComponentModel.DataAnnotations;
using Microsoft.EntityFrameworkCore;
using ModelOps.Registry;

namespace ModelOps.Server.Hosting;

/// <summary>The metadata database of the configuration, up to date before anything reads it.</summary>
public static class MetadataServices
{
    /// <summary>Opens it and applies what migrations it lacks.</summary>
    /// <param name="section"><c>MODELOPS__DATABASE__PROVIDER</c> and <c>MODELOPS__DATABASE__CONNECTIONSTRING</c>; without them SQLite in the home folder.</param>
    /// <exception cref="ServerStartException">Every fault of the configuration, or why the database cannot be used.</exception>
    public static async Task<MetadataDatabase> OpenAsync(IConfigurationSection section, ServerHome home)
    {
        var options = section.Get<MetadataOptions>() ?? new MetadataOptions();
        List<ValidationResult> faults = [];
        if (!Validator.TryValidateObject(options, new ValidationContext(options), faults, validateAllProperties: true))
            throw new ServerStartException(string.Join('\n', faults.Select(fault => $"database: {fault.ErrorMessage}")));
        var database = MetadataDatabase.Open(options, home.Database);
        try
        {
            await database.MigrateAsync();
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
