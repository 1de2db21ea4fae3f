using System.Globalization;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using ModelOps.Storage;
using ModelOps.Worker.Hosting;
using ModelOps.Worker.Queries;
using ModelOps.Worker.Tables;

if (args is ["query", ..]) return await QueryProgram.RunAsync(args, Console.In, Console.Out);
if (args is ["tables", .. var request]) return await TablesProgram.RunAsync(request, CancellationToken.None);

// One process per role, started and watched by the server. It listens on a Unix socket that only its owner can open, says
// "ready" on standard output, and stops when its standard input ends: that happens however the server dies.
if (WorkerOptions.Parse(args, out var errors) is not { } options)
{
    await Console.Error.WriteLineAsync(string.Join('\n', errors));
    return 2;
}

var builder = WebApplication.CreateSlimBuilder();
builder.Logging.ClearProviders().AddSimpleConsole(console =>
{
    console.SingleLine = true;
    console.UseUtcTimestamp = true;
    console.TimestampFormat = "yyyy-MM-ddTHH:mm:ss.fffZ ";
});
builder.Logging.AddConsole(console => console.LogToStandardErrorThreshold = LogLevel.Trace);
builder.Logging.AddFilter("Microsoft", LogLevel.Warning).AddFilter("Grpc", LogLevel.Warning);
builder.WebHost.ConfigureKestrel(kestrel => kestrel.ListenUnixSocket(options.Socket, listen => listen.Protocols = HttpProtocols.Http2));
builder.Services.Configure<HostOptions>(host => host.ShutdownTimeout = TimeSpan.FromSeconds(3));
builder.Services.AddGrpc(grpc => grpc.MaxReceiveMessageSize = 64 * 1024 * 1024);
builder.Services.AddSingleton(options);
builder.Services.AddSingleton(TimeProvider.System);

using var stores = ObjectStores.Open(ObjectStoreEnvironment.Read(Environment.GetEnvironmentVariables()), options.Home);
builder.Services.AddWorkerRole(options, stores);

await using var app = builder.Build();
app.MapWorkerRole(options);
await app.StartAsync();
File.SetUnixFileMode(options.Socket, UnixFileMode.UserRead | UnixFileMode.UserWrite);
await Console.Out.WriteLineAsync(string.Create(CultureInfo.InvariantCulture, $"ready {Environment.ProcessId}"));

_ = StopWithParentAsync(app.Lifetime);
await app.WaitForShutdownAsync();
return 0;

static async Task StopWithParentAsync(IHostApplicationLifetime lifetime)
{
    await using var input = Console.OpenStandardInput();
    await input.CopyToAsync(Stream.Null);
    lifetime.StopApplication();
}
