using System.ComponentModel.DataAnnotations;
using ModelOps.Registry;
using ModelOps.Server.Artifacts;
using ModelOps.Server.Hosting;

namespace ModelOps.Server.Lifecycle;

public static class LifecycleServices
{
    /// <summary>Options are read from <c>MODELOPS__LIFECYCLE__…</c>.</summary>
    /// <exception cref="ServerStartException">Every fault of the options.</exception>
    public static void AddLifecycle(this IServiceCollection services, IConfiguration configuration)
    {
        services.AddSingleton(Checked(Read(configuration)));
        services.AddSingleton<AuditLog>();
        services.AddSingleton<ArtifactLifecycle>();
        services.AddSingleton<ArtifactAliases>();
        services.AddSingleton<ArtifactLineage>();
        services.AddSingleton<ArtifactViews>();
        services.AddSingleton<BlobUses>();
        services.AddSingleton<ArtifactRetention>();
        services.AddHostedService<DailyRetention>();
    }

    private static LifecycleOptions Read(IConfiguration configuration)
    {
        try
        {
            return configuration.GetSection("MODELOPS:LIFECYCLE").Get<LifecycleOptions>() ?? new();
        }
        catch (InvalidOperationException e) // its message names the key, its cause the text that is no number
        {
            throw new ServerStartException($"{e.Message} {e.InnerException?.Message}", e);
        }
    }

    private static LifecycleOptions Checked(LifecycleOptions options)
    {
        var faults = new List<ValidationResult>();
        return Validator.TryValidateObject(options, new ValidationContext(options), faults, validateAllProperties: true)
            ? options
            : throw new ServerStartException(string.Join('\n', faults.Select(fault => fault.ErrorMessage)));
    }
}
