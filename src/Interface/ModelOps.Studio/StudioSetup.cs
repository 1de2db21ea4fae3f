using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Components.Server;
using Microsoft.AspNetCore.DataProtection;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using ModelOps.Studio.Artifacts;
using ModelOps.Studio.Datasets;
using ModelOps.Studio.Shell;
using ModelOps.Studio.SignIn;
using MudBlazor.Services;

namespace ModelOps.Studio;

/// <summary>How Studio reaches the server that hosts it: as any client does.</summary>
/// <param name="Server">Address of the API.</param>
/// <param name="HandlerFor">Sends a person's requests; gets the address that their browser has.</param>
public sealed record StudioApi(Uri Server, Func<IPAddress?, HttpMessageHandler> HandlerFor);

/// <summary>The web UI. Every act of it is a call of the public API with the token of who is signed in.</summary>
public static class StudioSetup
{
    // MudBlazor sets styles on elements; scripts come as files of this server only.
    private const string Policy =
        "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self'; connect-src 'self'; "
        + "object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'";

    private const int LongestText = 1 << 20;

    /// <param name="keys">Folder of the keys that encrypt cookies.</param>
    /// <param name="api">Asked when the first page is.</param>
    public static void AddStudio(this IServiceCollection services, string keys, Func<IServiceProvider, StudioApi> api)
    {
        services.AddSingleton(api);
        services.AddSingleton<StudioSessions>().AddSingleton<Uploads>();
        services.AddScoped<Person>();
        services.AddScoped<Browser>();
        services.AddMudServices(mud => mud.SnackbarConfiguration.PositionClass = MudBlazor.Defaults.Classes.Position.BottomRight);
        services.AddRazorComponents().AddInteractiveServerComponents()
            .AddHubOptions(hub => hub.MaximumReceiveMessageSize = LongestText); // what somebody pastes into a field comes as one message
        services.AddAntiforgery(antiforgery =>
        {
            antiforgery.Cookie.Name = "__Host-modelops-form";
            antiforgery.Cookie.SecurePolicy = CookieSecurePolicy.Always;
            antiforgery.Cookie.Path = "/";
        });
        services.Configure<CircuitOptions>(circuits =>
        {
            circuits.DisconnectedCircuitRetentionPeriod = TimeSpan.FromMinutes(15);
            circuits.JSInteropDefaultCallTimeout = TimeSpan.FromSeconds(30);
        });
        services.AddDataProtection().SetApplicationName("modelops-studio").PersistKeysToFileSystem(new DirectoryInfo(keys));
        // It makes the keys while the server starts; the first page does as well.
        foreach (var early in services.Where(service => service.ServiceType == typeof(IHostedService)
            && service.ImplementationType?.Name == "DataProtectionHostedService").ToList()) services.Remove(early);
    }

    /// <summary>Pages, files and the few endpoints that they use. None of them is a way around the API: they are open, and the API is not.</summary>
    public static void MapStudio(this WebApplication app)
    {
        app.UseAntiforgery();
        app.Use(GuardAsync);
        app.MapStaticAssets().AsStudio();
        app.MapSignIn();
        app.MapUploads();
        app.MapDownloads();
        app.MapRazorComponents<App>().AddInteractiveServerRenderMode(circuits => circuits.ContentSecurityFrameAncestorsPolicy = null).AsStudio();
    }

    internal static TBuilder AsStudio<TBuilder>(this TBuilder endpoints)
        where TBuilder : IEndpointConventionBuilder => endpoints.AllowAnonymous().WithMetadata(StudioEndpoint.Instance);

    /// <summary>What holds for Studio's endpoints: its headers, no callers from other sites, and the session of the cookie.</summary>
    private static async Task GuardAsync(HttpContext context, RequestDelegate next)
    {
        if (context.GetEndpoint() is not { } endpoint || endpoint.Metadata.GetMetadata<StudioEndpoint>() is null)
        {
            await next(context);
            return;
        }
        context.Response.Headers.ContentSecurityPolicy = Policy;
        context.Response.Headers["Referrer-Policy"] = "same-origin"; // with less, forms do not say where they come from
        if (context.Request.Headers.Origin is [{ } origin] && !string.Equals(origin, $"{context.Request.Scheme}://{context.Request.Host}", StringComparison.OrdinalIgnoreCase))
        {
            context.Response.StatusCode = StatusCodes.Status403Forbidden; // other ports of localhost are the same site to a browser
            return;
        }
        var session = await context.RequestServices.GetRequiredService<StudioSessions>().OfAsync(context);
        if (session is not null) context.User = session.ToUser(context.Connection.RemoteIpAddress);
        else if (endpoint.Metadata.GetMetadata<Microsoft.AspNetCore.Components.Endpoints.ComponentTypeMetadata>() is not null)
        {
            context.Response.Redirect(SignInEndpoints.PathFor(context.Request.Path + context.Request.QueryString));
            return;
        }
        await next(context);
    }

    internal sealed class StudioEndpoint
    {
        public static StudioEndpoint Instance { get; } = new();
    }
}
