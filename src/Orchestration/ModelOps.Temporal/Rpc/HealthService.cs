using Grpc.AspNetCore.Server.Model;
using Grpc.Core;

namespace ModelOps.Temporal;

/// <summary>grpc.health.v1.Health: whoever gets an answer sees a service that serves.</summary>
internal sealed class HealthService : IServiceMethodProvider<HealthService>
{
    private static readonly byte[] serving = [0x08, 0x01]; // HealthCheckResponse { status: SERVING }

    public void OnServiceMethodDiscovery(ServiceMethodProviderContext<HealthService> context)
    {
        var bytes = Marshallers.Create(static bytes => bytes, static bytes => bytes);
        context.AddUnaryMethod(
            new Method<byte[], byte[]>(MethodType.Unary, "grpc.health.v1.Health", "Check", bytes, bytes), [], (_, _, _) => Task.FromResult(serving));
    }
}
