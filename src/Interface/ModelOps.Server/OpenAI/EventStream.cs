using System.Net.ServerSentEvents;
using System.Runtime.CompilerServices;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;

namespace ModelOps.Server.OpenAI;

/// <summary>Chunks as server-sent events. The status is long sent when an answer breaks: the error travels in the stream, as OpenAI's does.</summary>
internal static class EventStream
{
    public static async IAsyncEnumerable<SseItem<string>> Of<T>(
        IAsyncEnumerable<T> chunks, JsonTypeInfo<T> type, HttpContext context, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await foreach (var (chunk, error) in Told(chunks, context.RequestServices, cancellationToken))
        {
            if (error is null)
            {
                yield return new(JsonSerializer.Serialize(chunk!, type));
                continue;
            }
            yield return new(JsonSerializer.Serialize(error, OpenAIJson.Default.OpenAIErrorEnvelope));
            yield break;
        }
        yield return new("[DONE]");
    }

    /// <summary>The chunks and, if they break, the error as the last.</summary>
    public static async IAsyncEnumerable<(T? Chunk, OpenAIErrorEnvelope? Error)> Told<T>(
        IAsyncEnumerable<T> chunks, IServiceProvider services, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await using var next = chunks.GetAsyncEnumerator(cancellationToken);
        while (true)
        {
            OpenAIErrorEnvelope? error = null;
            try
            {
                if (!await next.MoveNextAsync()) yield break;
            }
            catch (Exception e) when (!cancellationToken.IsCancellationRequested)
            {
                error = Problems.From(e, services).ToOpenAI();
            }
            yield return error is null ? (next.Current, null) : (default, error);
            if (error is not null) yield break;
        }
    }
}
