using Amazon.Runtime;
using Amazon.S3;

namespace ModelOps.Data.Tests.Storage;

/// <summary>A client of moto whose every request and answer a test may see and change on the wire.</summary>
internal static class MotoClient
{
    public static AmazonS3Client Create(string url, Intercept? intercept = null, int retries = 2) =>
        new(new BasicAWSCredentials("key", "secret"), new AmazonS3Config
        {
            ServiceURL = url,
            ForcePathStyle = true,
            AuthenticationRegion = "us-east-1",
            MaxErrorRetry = retries,
            HttpClientFactory = new InterceptedClients(intercept ?? ((_, send) => send())),
        });

    public delegate Task<HttpResponseMessage> Intercept(HttpRequestMessage request, Func<Task<HttpResponseMessage>> send);

    private sealed class Wire(Intercept intercept) : DelegatingHandler(new SocketsHttpHandler())
    {
        protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken) =>
            intercept(request, () => base.SendAsync(request, cancellationToken));
    }

    private sealed class InterceptedClients(Intercept intercept) : HttpClientFactory
    {
        public override HttpClient CreateHttpClient(IClientConfig clientConfig) => new(new Wire(intercept));

        public override bool UseSDKHttpClientCaching(IClientConfig clientConfig) => false;
    }
}
