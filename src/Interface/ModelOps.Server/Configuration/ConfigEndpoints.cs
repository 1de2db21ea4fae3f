using ModelOps.Client;

namespace ModelOps.Server.Configuration;

public static class ConfigEndpoints
{
    public static void MapConfig(this IEndpointRouteBuilder api) =>
        api.MapGet("/config", (Bound<ServerConfig> bound) => new Page<ConfiguredValue>(
            [.. bound.Entries.Select(entry => new ConfiguredValue(entry.Key, entry.Value, entry.Source, entry.Secret))]))
            .WithTags("config").WithName("getConfig").WithSummary("Tells the settings that the server runs with and where each comes from; secrets are hidden.");
}
