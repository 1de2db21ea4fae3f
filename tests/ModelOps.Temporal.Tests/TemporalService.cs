using Microsoft.Extensions.Logging;
using Temporalio.Api.Enums.V1;
using Temporalio.Api.OperatorService.V1;
using Temporalio.Client;
using Temporalio.Client.Interceptors;
using Temporalio.Exceptions;

[assembly: AssemblyFixture(typeof(ModelOps.Temporal.Tests.TemporalService))]

namespace ModelOps.Temporal.Tests;

/// <summary>
/// The service under test, one for all tests: the embedded one on a database file of its own, or with TEMPORAL_ADDRESS a real server (namespace
/// TEMPORAL_NAMESPACE, by default <c>default</c>).
/// </summary>
public sealed class TemporalService : IAsyncDisposable
{
    private readonly string folder = Directory.CreateTempSubdirectory("modelops-temporal-").FullName;
    private readonly ILoggerFactory warnings = LoggerFactory.Create(builder => builder.AddSimpleConsole().SetMinimumLevel(LogLevel.Warning));
    private readonly Lazy<Task<string>> address;
    private TemporalServer? server;

    public TemporalService() => address = new(StartAsync); // with the first test that needs it

    public static bool IsEmbedded => External is null;

    public string Namespace { get; } = Environment.GetEnvironmentVariable("TEMPORAL_NAMESPACE") ?? "default";

    private static string? External => Environment.GetEnvironmentVariable("TEMPORAL_ADDRESS");

    public async ValueTask DisposeAsync()
    {
        if (server != null) await server.DisposeAsync();
        warnings.Dispose();
        Directory.Delete(folder, recursive: true);
    }

    public async Task<TemporalClient> ConnectAsync(params IClientInterceptor[] interceptors) =>
        await TemporalClient.ConnectAsync(new(await address.Value) { Namespace = Namespace, Interceptors = interceptors });

    private async Task<string> StartAsync()
    {
        if (IsEmbedded) server = await TemporalServer.StartAsync(new() { DatabasePath = Path.Combine(folder, "workflows.db") }, warnings);
        var started = External ?? server!.Address;
        await DefineAttributesAsync(await TemporalClient.ConnectAsync(new(started) { Namespace = Namespace }));
        return started;
    }

    private async Task DefineAttributesAsync(TemporalClient client)
    {
        try
        {
            await client.OperatorService.AddSearchAttributesAsync(new AddSearchAttributesRequest
            {
                Namespace = Namespace,
                SearchAttributes =
                {
                    ["TestKeyword"] = IndexedValueType.Keyword,
                    ["TestText"] = IndexedValueType.Text,
                    ["TestInt"] = IndexedValueType.Int,
                    ["TestDouble"] = IndexedValueType.Double,
                    ["TestBool"] = IndexedValueType.Bool,
                    ["TestTime"] = IndexedValueType.Datetime,
                    ["TestList"] = IndexedValueType.KeywordList,
                },
            });
        }
        catch (RpcException e) when (e.Code == RpcException.StatusCode.AlreadyExists)
        {
            // by an earlier run against the same server
        }
    }
}
