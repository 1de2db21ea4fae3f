using Microsoft.AspNetCore.Server.Kestrel.Core;
using ModelOps.Storage;
using ModelOps.Worker.Hosting;
using ModelOps.Worker.Queries;
using ModelOps.Worker.Tables;
using ModelOps.Workflows;

// Programs of their own, that end when they have answered.
if (args is ["query", ..]) return await QueryProgram.RunAsync(args, Console.In, Console.Out);
if (args is ["tables", .. var request]) return await TablesProgram.RunAsync(request, CancellationToken.None);

// A process of one role, started and watched by the server. It listens on a Unix socket that only its owner can open.
if (WorkerOptions.Parse(args, out var errors) is not { } options)
{
    await Console.Error.WriteLineAsync(string.Join('\n', errors));
    return 2;
}

// The engine answers without a server, too: only its spans need one.
var alone = options.Role == WorkerRole.Inference && Environment.GetEnvironmentVariable(ServerConnection.AddressVariable) is null;
using var server = alone ? null : ServerConnection.FromEnvironment(out errors);
if (errors.Count > 0)
{
    await Console.Error.WriteLineAsync(string.Join('\n', errors));
    return 2;
}

var builder = WebApplication.CreateSlimBuilder();
// JSON lines on standard error: the server logs them again, with their level, logger, values and trace.
builder.Logging.ClearProviders().AddJsonConsole(console => console.IncludeScopes = true);
builder.Logging.AddConsole(console => console.LogToStandardErrorThreshold = LogLevel.Trace);
builder.Logging.Configure(logging => logging.ActivityTrackingOptions = ActivityTrackingOptions.TraceId | ActivityTrackingOptions.SpanId);
builder.Logging.AddFilter("Microsoft", LogLevel.Warning).AddFilter("Grpc", LogLevel.Warning);
builder.WebHost.ConfigureKestrel(kestrel => kestrel.ListenUnixSocket(options.Socket, listen => listen.Protocols = HttpProtocols.Http2));
builder.Services.Configure<HostOptions>(host => host.ShutdownTimeout = TimeSpan.FromSeconds(1));
builder.Services.AddGrpc(grpc => grpc.MaxReceiveMessageSize = 64 * 1024 * 1024);
builder.Services.AddSingleton(options);
builder.Services.AddSingleton<ServerLink>();
builder.Services.AddSingleton(TimeProvider.System);
if (server is not null)
{
    builder.Services.AddSingleton(server);
    WorkerSpans.AddTo(builder.Services, options);
}

using var stores = Open(options.Home, out errors);
if (stores is null)
{
    await Console.Error.WriteLineAsync(string.Join('\n', errors));
    return 2;
}
builder.Services.AddWorkerRole(options, stores);

await using var app = builder.Build();
app.MapWorkerRole(options);
await app.StartAsync();
File.SetUnixFileMode(options.Socket, UnixFileMode.UserRead | UnixFileMode.UserWrite);
var link = app.Services.GetRequiredService<ServerLink>();
link.SayReady();
link.ListenToServer(app.Lifetime);
await app.WaitForShutdownAsync();
return 0;

static ObjectStores? Open(string home, out IReadOnlyList<string> errors)
{
    errors = [];
    try
    {
        return ObjectStores.Open(ObjectStoreEnvironment.Read(Environment.GetEnvironmentVariables()), home);
    }
    catch (ObjectStoreOptionsException e)
    {
        errors = [.. e.Faults.Select(fault => $"objects: {fault}")];
        return null;
    }
}
