using System.Net;
using System.Net.ServerSentEvents;
using System.Runtime.CompilerServices;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Text.Json;

namespace ModelOps.Benchmarks.Gateway;

/// <summary>OpenAI's /v1/completions, streamed, as a client asks for it.</summary>
internal static class StreamedCompletion
{
    public static async IAsyncEnumerable<TimedPiece> AskAsync(HttpClient http, string prompt, int maxTokens, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var body = JsonSerializer.Serialize(new
        {
            model = "model",
            prompt,
            max_tokens = maxTokens,
            temperature = 0,
            stream = true,
            stream_options = new { include_usage = true },
        });
        using var request = new HttpRequestMessage(HttpMethod.Post, "v1/completions") { Content = new StringContent(body, Encoding.UTF8, "application/json"), Version = HttpVersion.Version20 };
        using var response = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellationToken);
        response.EnsureSuccessStatusCode();
        await using var stream = await response.Content.ReadAsStreamAsync(cancellationToken);
        await foreach (var item in SseParser.Create(stream).EnumerateAsync(cancellationToken))
        {
            if (item.Data == "[DONE]") yield break;
            using var chunk = JsonDocument.Parse(item.Data);
            var choices = chunk.RootElement.GetProperty("choices");
            yield return new(
                choices.GetArrayLength() > 0 ? choices[0].GetProperty("text").GetString()! : "",
                chunk.RootElement.TryGetProperty("usage", out var usage) ? usage.GetProperty("completion_tokens").GetInt32() : 0);
        }
    }

    public static SocketsHttpHandler Trusting(X509Certificate2 authority) => new()
    {
        EnableMultipleHttp2Connections = true,
        SslOptions =
        {
            CertificateChainPolicy = new X509ChainPolicy
            {
                TrustMode = X509ChainTrustMode.CustomRootTrust,
                CustomTrustStore = { authority },
                RevocationMode = X509RevocationMode.NoCheck,
            },
        },
    };
}
