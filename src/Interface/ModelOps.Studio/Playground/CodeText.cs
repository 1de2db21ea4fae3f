using System.Globalization;
using System.Text.Encodings.Web;
using System.Text.Json;
using ModelOps.Client;

namespace ModelOps.Studio.Playground;

/// <summary>A request as somebody would write it; the key stands in the environment.</summary>
internal static class CodeText
{
    private static readonly JsonSerializerOptions readable = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    public static IEnumerable<(string Language, string Text)> Of(Uri server, ChatRequest request)
    {
        var url = $"{server.AbsoluteUri.TrimEnd('/')}/v1";
        yield return ("curl", Curl(url, request));
        yield return ("Python", Python(url, request));
        yield return ("JavaScript", JavaScript(url, request));
        yield return ("C#", CSharp(server, request));
    }

    private static string Curl(string url, ChatRequest request)
    {
        var body = $"{{{string.Join(", ", Members(request).Select(member => $"\"{member.Name}\": {member.Json}"))}}}";
        return $"""
            curl {url}/chat/completions --cacert ~/.modelops/certs/ca.crt \
              -H "Authorization: Bearer $MODELOPS_API_KEY" -H "Content-Type: application/json" \
              -d '{body.Replace("'", "'\\''", StringComparison.Ordinal)}'
            """;
    }

    private static string Python(string url, ChatRequest request) => $"""
        # SSL_CERT_FILE=~/.modelops/certs/ca.crt
        import os
        from openai import OpenAI

        client = OpenAI(base_url="{url}", api_key=os.environ["MODELOPS_API_KEY"])
        answer = client.chat.completions.create(
        {string.Join('\n', Members(request).Select(member => $"    {member.Name}={member.Json},"))}
        )
        print(answer.choices[0].message.content)
        """;

    private static string JavaScript(string url, ChatRequest request) => $$"""
        // NODE_EXTRA_CA_CERTS=~/.modelops/certs/ca.crt
        import OpenAI from 'openai';

        const client = new OpenAI({ baseURL: '{{url}}', apiKey: process.env.MODELOPS_API_KEY });
        const answer = await client.chat.completions.create({
        {{string.Join('\n', Members(request).Select(member => $"  {member.Name}: {member.Json},"))}}
        });
        console.log(answer.choices[0].message.content);
        """;

    private static string CSharp(Uri server, ChatRequest request)
    {
        var messages = string.Join(", ", request.Messages.Select(message => $"new({Text(message.Role)}, {Text(message.Content)})"));
        var others = string.Concat(Members(request).Skip(2).Select(member => $", {Pascal(member.Name)} = {member.Json}"));
        return $$"""
            using ModelOps.Client;

            using var client = new ModelOpsClient(
                new Uri("{{server}}"), Environment.GetEnvironmentVariable("MODELOPS_API_KEY"), caCertificatePath: "certs/ca.crt");
            var answer = await client.Chat.CompleteAsync(
                new ChatRequest { Model = {{Text(request.Model)}}, Messages = [{{messages}}]{{others}} },
                Console.Write);
            """;
    }

    private static IEnumerable<(string Name, string Json)> Members(ChatRequest request)
    {
        yield return ("model", Text(request.Model));
        yield return ("messages", $"[{string.Join(", ", request.Messages.Select(message => $"{{\"role\": {Text(message.Role)}, \"content\": {Text(message.Content)}}}"))}]");
        if (request.Temperature is { } temperature) yield return ("temperature", temperature.ToString(CultureInfo.InvariantCulture));
        if (request.TopP is { } topP) yield return ("top_p", topP.ToString(CultureInfo.InvariantCulture));
        if (request.MaxTokens is { } most) yield return ("max_tokens", most.ToString(CultureInfo.InvariantCulture));
        if (request.Seed is { } seed) yield return ("seed", seed.ToString(CultureInfo.InvariantCulture));
    }

    private static string Text(string value) => JsonSerializer.Serialize(value, readable);

    private static string Pascal(string name) => string.Concat(name.Split('_').Select(word => char.ToUpperInvariant(word[0]) + word[1..]));
}
