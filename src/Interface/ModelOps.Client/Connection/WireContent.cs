using System.Net.Http.Headers;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;

namespace ModelOps.Client;

/// <summary>A JSON request body of known length, so that no server has to accept chunked bodies.</summary>
internal sealed class WireContent<T> : ByteArrayContent
{
    public WireContent(T value, JsonTypeInfo<T> type)
        : base(JsonSerializer.SerializeToUtf8Bytes(value, type)) => Headers.ContentType = new MediaTypeHeaderValue("application/json");
}

internal static class WireResponse
{
    /// <exception cref="ModelOpsException">The body is not the document that the API promises.</exception>
    public static async Task<T> ReadAsync<T>(this HttpResponseMessage response, JsonTypeInfo<T> type, CancellationToken cancellationToken)
    {
        var body = await response.Content.ReadAsByteArrayAsync(cancellationToken).ConfigureAwait(false);
        return Parse(body, type);
    }

    /// <exception cref="ModelOpsException">The data is not the document that the API promises.</exception>
    public static T Parse<T>(ReadOnlySpan<byte> utf8, JsonTypeInfo<T> type)
    {
        try
        {
            return JsonSerializer.Deserialize(utf8, type) ?? throw new JsonException("It is null.");
        }
        catch (JsonException exception)
        {
            throw new ModelOpsException(new Problem
            {
                Type = ProblemTypes.Internal,
                Title = "Unexpected answer",
                Detail = $"The server's answer is not a {type.Type.Name} as this client knows it: {exception.Message} "
                    + "Check that this is a ModelOps server and that client and server are of the same version.",
            }, exception);
        }
    }
}
