using System.Net;
using System.Text.Json;
using System.Text.RegularExpressions;
using ModelOps.Server.Security;

namespace ModelOps.Tests.Gateway;

public sealed partial class GatewayTests
{
    [Fact]
    public async Task OpenApi_EveryOperation_IsDescribed()
    {
        using var http = Connect(key: null);
        using var document = JsonDocument.Parse(await http.GetStringAsync(Address("/openapi/v1.json"), Cancel));
        var operations = document.RootElement.GetProperty("paths").EnumerateObject()
            .SelectMany(path => path.Value.EnumerateObject().Where(method => method.Value.ValueKind == JsonValueKind.Object)
                .Select(method => (Name: $"{method.Name} {path.Name}", Operation: method.Value))).ToList();
        Assert.Contains(operations, operation => operation.Name == "post /v1/chat/completions");
        Assert.Contains(operations, operation => operation.Name == "put /api/v1/blobs/{sha256}");
        var faults = operations.SelectMany(operation => Lint(operation.Name, operation.Operation)).ToList();
        Assert.True(faults.Count == 0, string.Join('\n', faults));
        var ids = operations.Select(operation => operation.Operation.GetProperty("operationId").GetString());
        Assert.Equal(operations.Count, ids.Distinct().Count());
        var scheme = document.RootElement.GetProperty("components").GetProperty("securitySchemes").GetProperty("bearer");
        Assert.Equal("http", scheme.GetProperty("type").GetString());
        Assert.Contains("detail", document.RootElement.GetProperty("components").GetProperty("schemas").GetProperty("Problem").GetRawText(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Docs_AskNoOtherHost()
    {
        using var http = Connect(key: null);
        using var response = await http.GetAsync(Address("/docs"), Cancel);
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Contains("default-src 'self'", response.Headers.GetValues("Content-Security-Policy").Single(), StringComparison.Ordinal);
        var page = await response.Content.ReadAsStringAsync(Cancel);
        Assert.DoesNotMatch(ForeignReference(), page);
        var scripts = Script().Matches(page).Select(match => match.Groups["path"].Value).Where(path => path.Length > 0).ToList();
        Assert.NotEmpty(scripts);
        foreach (var script in scripts)
        {
            using var file = await http.GetAsync(new Uri(response.RequestMessage!.RequestUri!, script), Cancel);
            Assert.Equal(HttpStatusCode.OK, file.StatusCode);
        }
    }

    [Theory]
    [InlineData("/api/v1/jobs")]
    [InlineData("/v1/models")]
    [InlineData("/healthz")]
    public async Task Answers_CarryTheSecurityHeaders(string path)
    {
        using var http = Connect(fixture.Server.ApiKey);
        using var response = await http.GetAsync(Address(path), Cancel);
        string Header(string name) => response.Headers.GetValues(name).Single();
        Assert.Equal("nosniff", Header("X-Content-Type-Options"));
        Assert.Equal("no-referrer", Header("Referrer-Policy"));
        Assert.Equal("no-store", Header("Cache-Control"));
        Assert.StartsWith("default-src 'none'", Header("Content-Security-Policy"), StringComparison.Ordinal);
        Assert.False(response.Headers.Contains("Strict-Transport-Security")); // the local CA's: other servers on localhost stay as they are
        Assert.False(response.Headers.Contains("Server"));
    }

    [Theory]
    [InlineData("DELETE", "/api/v1/jobs", null, null, 405, "method-not-allowed")]
    [InlineData("GET", "/api/v1/nothing", null, null, 404, "not-found")]
    [InlineData("POST", "/api/v1/trainings", "{", "application/json", 400, "malformed")]
    [InlineData("POST", "/api/v1/trainings", "{\"name\":3}", "application/json", 400, "invalid")]
    [InlineData("POST", "/api/v1/trainings", "a=b", "application/x-www-form-urlencoded", 415, "unsupported-media-type")]
    [InlineData("POST", "/api/v1/deployments", "{\"name\":\"x\",\"artifact\":\"y\",\"slots\":0}", "application/json", 400, "invalid")]
    public async Task Refusals_HaveTheirType(string method, string path, string? body, string? mediaType, int status, string type)
    {
        using var http = Connect(fixture.Server.ApiKey);
        using var request = new HttpRequestMessage(new HttpMethod(method), path);
        if (body is not null) request.Content = new StringContent(body, System.Text.Encoding.UTF8, mediaType!);
        using var response = await http.SendAsync(request, Cancel);
        Assert.Equal(status, (int)response.StatusCode);
        Assert.Equal("application/problem+json", response.Content.Headers.ContentType!.MediaType);
        Assert.Equal($"urn:modelops:problem:{type}", (await ProblemOf(response)).Type);
    }

    [Fact]
    public async Task Readiness_WhenObjectsCannotBeWritten_NamesTheStore()
    {
        var cancel = Cancel;
        var home = EndToEnd.TestServer.NewHome();
        await using (var server = await EndToEnd.TestServer.StartAsync(home, cancel))
        {
            Assert.Empty((await server.Client.GetReadinessAsync(cancel)).NotReady);
            await EndToEnd.Backends.RemoveObjectsAsync(home, cancel);
            await EndToEnd.Eventually.HoldsAsync(
                async () => (await server.Client.GetReadinessAsync(cancel)).NotReady.Any(fault => fault.StartsWith("object store", StringComparison.Ordinal)), cancel);
        }
        Directory.Delete(home, recursive: true);
    }

    private static IEnumerable<string> Lint(string name, JsonElement operation)
    {
        foreach (var text in new[] { "operationId", "summary" })
            if (!operation.TryGetProperty(text, out var value) || string.IsNullOrEmpty(value.GetString())) yield return $"{name} has no {text}";
        if (!operation.TryGetProperty("tags", out var tags) || tags.GetArrayLength() == 0) yield return $"{name} has no tag";
        var responses = operation.GetProperty("responses").EnumerateObject().ToList();
        if (!responses.Exists(response => response.Name.StartsWith('2'))) yield return $"{name} has no response of success";
        if (!responses.Exists(response => response.Name == "default")) yield return $"{name} has no problem response";
        var (method, path) = name.Split(' ') is [var first, var second] ? (first.ToUpperInvariant(), second) : throw new FormatException(name);
        var isOpen = Access.Find(method, path)!.IsPublic;
        if (isOpen == operation.TryGetProperty("security", out _)) yield return $"{name} names {(isOpen ? "a" : "no")} security scheme";
    }

    [GeneratedRegex("""(src|href)=["']?(https?:)?//""", RegexOptions.IgnoreCase | RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex ForeignReference();

    [GeneratedRegex("""<script[^>]*\ssrc="(?<path>[^"]+)""", RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex Script();
}
