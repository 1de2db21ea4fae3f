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
        var body = $"{{{string.Join(", ", Members(request).Select(member => $"\"{member.Name}\": {Json(member.Value)}"))}}}";
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
        {string.Join('\n', Members(request).Select(member => $"    {member.Name}={PythonText(member.Value)},"))}
        )
        print(answer.choices[0].{What(request)})
        """;

    private static string JavaScript(string url, ChatRequest request) => $$"""
        // NODE_EXTRA_CA_CERTS=~/.modelops/certs/ca.crt
        import OpenAI from 'openai';

        const client = new OpenAI({ baseURL: '{{url}}', apiKey: process.env.MODELOPS_API_KEY });
        const answer = await client.chat.completions.create({
        {{string.Join('\n', Members(request).Select(member => $"  {member.Name}: {Json(member.Value)},"))}}
        });
        console.log(answer.choices[0].{{What(request)}});
        """;

    private static string CSharp(Uri server, ChatRequest request)
    {
        var messages = string.Join(", ", request.Messages.Select(message => $"new({Text(message.Role)}, {Text(message.Content)}){Calls(message)}"));
        var others = string.Concat(Members(request).Skip(2).Select(member => $",\n        {Pascal(member.Name)} = {CSharpText(member.Value)}"));
        return $$"""
            {{(request.Tools is null && request.ResponseFormat is null ? "" : "using System.Text.Json;\n")}}using ModelOps.Client;

            using var client = new ModelOpsClient(
                new Uri("{{server}}"), Environment.GetEnvironmentVariable("MODELOPS_API_KEY"), caCertificatePath: "certs/ca.crt");
            var answer = await client.Chat.CompleteAsync(
                new ChatRequest
                {
                    Model = {{Text(request.Model)}}, Messages = [{{messages}}]{{others}},
                },
                Console.Write);{{(request.Tools is null ? "" : "\nforeach (var call in answer.ToolCalls) Console.WriteLine(call);")}}{{(request.Logprobs is null ? "" : "\nforeach (var token in answer.Logprobs) Console.WriteLine(token);")}}
            """;
    }

    /// <summary>What of the answer somebody asked for.</summary>
    private static string What(ChatRequest request) => request switch { { Tools: not null } => "message.tool_calls", { Logprobs: true } => "logprobs.content", _ => "message.content" };

    private static IEnumerable<(string Name, JsonElement Value)> Members(ChatRequest request)
    {
        var all = JsonSerializer.SerializeToElement(request, WireJson.Default.ChatRequest);
        return all.EnumerateObject().Where(member => member.Name is not ("stream" or "stream_options")).Select(member => (member.Name, member.Value));
    }

    private static string Json(JsonElement value) => JsonSerializer.Serialize(value, readable);

    private static string PythonText(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Object => $"{{{string.Join(", ", value.EnumerateObject().Select(member => $"{Text(member.Name)}: {PythonText(member.Value)}"))}}}",
        JsonValueKind.Array => $"[{string.Join(", ", value.EnumerateArray().Select(PythonText))}]",
        JsonValueKind.True => "True",
        JsonValueKind.False => "False",
        JsonValueKind.Null => "None",
        _ => Json(value),
    };

    private static string CSharpText(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Array => $"[{string.Join(", ", value.EnumerateArray().Select(CSharpText))}]",
        JsonValueKind.Object => $"JsonElement.Parse(\"\"\"{Json(value)}\"\"\")", // JSON has no three quotes in a row
        _ => Json(value),
    };

    private static string Calls(ChatMessage message) => message.ToolCalls is null ? ""
        : $" {{ ToolCalls = [{string.Join(", ", message.ToolCalls.Select(call => $"new({Text(call.Id)}, new({Text(call.Function.Name)}, {Text(call.Function.Arguments)}))"))}] }}";

    private static string Text(string value) => JsonSerializer.Serialize(value, readable);

    private static string Pascal(string name) => string.Concat(name.Split('_').Select(word => char.ToUpperInvariant(word[0]) + word[1..]));
}
