using System.Globalization;
using System.Net;
using Microsoft.Extensions.Logging;
using ModelOps.Temporal;

// DATABASE PORT: the embedded Temporal service on this file and port, until it is killed; says its address once it listens.
using var warnings = LoggerFactory.Create(builder => builder.AddSimpleConsole().AddConsole(console => console.LogToStandardErrorThreshold = LogLevel.Trace).SetMinimumLevel(LogLevel.Warning));
await using var server = await TemporalServer.StartAsync(
    new() { DatabasePath = args[0], Address = new(IPAddress.Loopback, int.Parse(args[1], CultureInfo.InvariantCulture)) }, warnings);
await Console.Out.WriteLineAsync(server.Address);
await Task.Delay(Timeout.Infinite);
