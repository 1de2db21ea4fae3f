using System.Net;
using Grpc.AspNetCore.Server.Model;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace ModelOps.Temporal;

/// <summary>
/// A Temporal-compatible service in this process, for the unmodified Temporal SDKs: one node, durable in one SQLite file. Host it so that
/// it starts before the workers that use it and stops after them.
/// </summary>
public sealed class TemporalServer : IAsyncDisposable
{
    private const int MaxMessageBytes = 64 * 1024 * 1024;
    private readonly WebApplication app;
    private readonly Engine engine;
    private readonly Retention retention;

    private TemporalServer(WebApplication app, Engine engine, string address)
    {
        this.app = app;
        this.engine = engine;
        retention = new Retention(engine);
        Address = address;
    }

    /// <summary>Host and port, as a client's target.</summary>
    public string Address { get; }

    /// <summary>Why the service refuses every call until it is started again; null: it does not.</summary>
    public Exception? Failure => engine.Failure;

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
        var runs = Open(options, loggerFactory);
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
        await engine.StopAsync().ConfigureAwait(false);
        await retention.DisposeAsync().ConfigureAwait(false);
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
            grpc.IgnoreUnknownServices = true; // the fallback names what is not implemented
            grpc.MaxReceiveMessageSize = MaxMessageBytes;
            grpc.MaxSendMessageSize = null;
        });
        AddService(new WorkflowService(runs));
        AddService(new OperatorService(runs));
        AddService(new HealthService());

        var listener = builder.Build();
        if (options.Token is { } token)
        {
            var bearer = new BearerToken(token);
            listener.Use((context, next) => bearer.Allows(context.Request) ? next(context) : GrpcStatus.UnauthenticatedAsync(context));
        }
        listener.UseRouting();
        listener.MapGrpcService<WorkflowService>();
        listener.MapGrpcService<OperatorService>();
        listener.MapGrpcService<HealthService>();
        listener.MapFallback(GrpcStatus.UnimplementedAsync);
        return listener;

        void AddService<TService>(TService service)
            where TService : class, IServiceMethodProvider<TService> =>
            builder.Services.AddSingleton(service).AddSingleton<IServiceMethodProvider<TService>>(service);
    }

    private static Engine Open(TemporalServerOptions options, ILoggerFactory loggerFactory)
    {
        var opened = new Engine(options.DatabasePath, loggerFactory.CreateLogger<Store>(), options.TimeProvider);
        return opened.Transact(() =>
        {
            var known = opened.Namespaces.Find(options.Namespace);
            if (known?.Config.WorkflowExecutionRetentionTtl.ToTimeSpan() != options.Retention)
                opened.Namespaces.Put(Namespaces.Describe(options.Namespace, options.Retention));
            return opened;
        });
    }
}
