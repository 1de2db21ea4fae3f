using System.Net;
using Grpc.AspNetCore.Server.Model;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Logging;

namespace ModelOps.Temporal;

/// <summary>
/// A Temporal-compatible service in this process, for the unmodified Temporal SDKs: one node, durable in one SQLite file. Host it so that
/// it starts before the workers that use it and stops after them.
/// </summary>
public sealed class TemporalServer : IAsyncDisposable
{
    private readonly WebApplication app;
    private readonly Engine engine;

    private TemporalServer(WebApplication app, Engine engine, string address)
    {
        this.app = app;
        this.engine = engine;
        Address = address;
    }

    /// <summary>Host and port, as a client's target.</summary>
    public string Address { get; }

    /// <summary>Opens the database, takes up every open run where it was, and listens.</summary>
    /// <exception cref="ArgumentException">The options would open the service to other machines without a token.</exception>
    public static async Task<TemporalServer> StartAsync(
        TemporalServerOptions options, ILoggerFactory loggerFactory, CancellationToken cancellationToken = default)
    {
        if (!IPAddress.IsLoopback(options.Address.Address) && (!options.AllowRemote || options.Token is null))
        {
            throw new ArgumentException(
                $"{options.Address} can be reached from other machines: set {nameof(options.AllowRemote)} and a {nameof(options.Token)}.",
                nameof(options));
        }
        var runs = new Engine(options, loggerFactory);
        var listener = Build(options, loggerFactory, runs);
        try
        {
            await listener.StartAsync(cancellationToken).ConfigureAwait(false);
        }
        catch
        {
            await listener.DisposeAsync().ConfigureAwait(false);
            await runs.DisposeAsync().ConfigureAwait(false);
            throw;
        }
        var bound = listener.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.Single();
        return new TemporalServer(listener, runs, new Uri(bound).Authority);
    }

    /// <summary>Stops listening, writes what is left, and closes the database.</summary>
    public async ValueTask DisposeAsync()
    {
        engine.Stop();
        await app.StopAsync().ConfigureAwait(false);
        await app.DisposeAsync().ConfigureAwait(false);
        await engine.DisposeAsync().ConfigureAwait(false);
    }

    private static WebApplication Build(TemporalServerOptions options, ILoggerFactory loggerFactory, Engine runs)
    {
        var builder = WebApplication.CreateEmptyBuilder(new());
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel => kestrel.Listen(options.Address, listen =>
        {
            listen.Protocols = HttpProtocols.Http2;
            if (options.Certificate is { } certificate)
                listen.UseHttps(certificate);
        }));
        builder.Services.AddSingleton(loggerFactory);
        builder.Services.AddRoutingCore();
        builder.Services.AddGrpc(grpc =>
        {
            grpc.IgnoreUnknownServices = true;
            grpc.MaxReceiveMessageSize = null;
            grpc.MaxSendMessageSize = null;
        });
        var workflowService = new WorkflowService(runs, options);
        builder.Services.AddSingleton(workflowService);
        builder.Services.TryAddEnumerable(ServiceDescriptor.Singleton<IServiceMethodProvider<WorkflowService>>(workflowService));
        var listener = builder.Build();
        listener.UseRouting();
        listener.MapGrpcService<WorkflowService>();
        return listener;
    }
}
