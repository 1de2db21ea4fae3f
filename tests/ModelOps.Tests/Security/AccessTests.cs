using System.Net;
using System.Text;
using System.Text.RegularExpressions;
using ModelOps.Client;
using ModelOps.Tests.EndToEnd;

namespace ModelOps.Tests.Security;

/// <summary>Who may use what: every endpoint that the running server has, asked by every role and by nobody.</summary>
[EmbeddedOnly("roles are decided before a store is asked")]
public sealed partial class AccessTests(SecurityFixture fixture) : IClassFixture<SecurityFixture>
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task EveryEndpoint_EveryRoleAndNobody_AnswersAsTheTableSays()
    {
        var entries = await fixture.Server.Client.Auth.AccessAsync(Cancel);
        Assert.Contains(entries, entry => entry is { Method: "POST", Path: "/v1/chat/completions" });
        Assert.Contains(entries, entry => entry is { Method: "GET", Path: "/healthz", Public: true });
        var unlisted = entries.Where(entry => !entry.Listed).Select(entry => $"{entry.Method} {entry.Path}");
        Assert.Empty(unlisted); // add a line for each to src/Interface/ModelOps.Server/Security/Access.cs

        var wrong = new List<string>();
        foreach (var who in SecurityFixture.Roles.Prepend("nobody"))
        {
            using var http = fixture.Connect(who == "nobody" ? null : fixture.KeyOf(who));
            foreach (var entry in entries)
            {
                var status = await AskAsync(http, entry);
                var right = entry.Public ? status is not (HttpStatusCode.Unauthorized or HttpStatusCode.Forbidden)
                    : who == "nobody" ? status is HttpStatusCode.Unauthorized
                    : entry.Roles.Contains(who, StringComparer.Ordinal) ? status is not (HttpStatusCode.Unauthorized or HttpStatusCode.Forbidden)
                    : status is HttpStatusCode.Forbidden;
                if (!right) wrong.Add($"{who}: {entry.Method} {entry.Path} gave {(int)status}");
            }
        }
        Assert.Empty(wrong);
    }

    /// <summary>The table itself, where a slip would hurt most.</summary>
    [Theory]
    [InlineData("POST", "/api/v1/users", "admin")]
    [InlineData("DELETE", "/api/v1/users/{name}", "admin")]
    [InlineData("POST", "/api/v1/users/{name}/password", "admin")]
    [InlineData("GET", "/api/v1/audit", "approver admin")]
    [InlineData("POST", "/api/v1/trainings", "engineer admin")]
    [InlineData("POST", "/api/v1/deployments", "engineer admin")]
    [InlineData("POST", "/api/v1/artifacts", "engineer service admin")]
    [InlineData("POST", "/v1/chat/completions", "engineer approver service admin")]
    [InlineData("GET", "/api/v1/jobs", "viewer engineer approver service admin")]
    [InlineData("GET", "/api/v1/jobs/{id}/logs", "viewer engineer approver service admin")]
    [InlineData("GET", "/api/v1/jobs/{id}/logs/stream", "viewer engineer approver service admin")]
    public async Task Table_NamesTheRoles(string method, string path, string roles)
    {
        var entries = await fixture.Server.Client.Auth.AccessAsync(Cancel);
        var entry = Assert.Single(entries, entry => entry.Method == method && entry.Path.TrimEnd('/') == path);
        Assert.Equal(roles.Split(' ').Order(), entry.Roles.Order());
        Assert.NotNull(entry.Scope);
    }

    [Fact]
    public async Task PublicEndpoints_AreTheseOnly()
    {
        var entries = await fixture.Server.Client.Auth.AccessAsync(Cancel);
        Assert.Equal(
            ["/.well-known/jwks.json", "/api/v1/auth/login", "/api/v1/auth/refresh", "/healthz", "/openapi/{documentName}.json", "/readyz"],
            entries.Where(entry => entry.Public && !entry.Path.StartsWith("/docs/", StringComparison.Ordinal)).Select(entry => entry.Path).Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task Denied_IsAuditedWithWhoAndWhat()
    {
        using var http = fixture.Connect(fixture.KeyOf("viewer"));
        using var body = new StringContent("{}", Encoding.UTF8, "application/json");
        using var response = await http.PostAsync(new Uri("/api/v1/trainings", UriKind.Relative), body, Cancel);
        Assert.Equal(HttpStatusCode.Forbidden, response.StatusCode);
        Assert.Contains("needs engineer or admin", await response.Content.ReadAsStringAsync(Cancel), StringComparison.Ordinal);
        var rows = await fixture.Server.Client.Audit
            .ListAsync(new AuditFilter { Actor = "viewer", Action = "access.denied", Subject = "/api/v1/trainings" }, Cancel).ToListAsync(Cancel);
        Assert.NotEmpty(rows);
        Assert.Equal("POST", rows[0].Detail.GetProperty("method").GetString());
    }

    [Fact]
    public async Task Key_WithScopes_DoesThatOnly()
    {
        var created = await fixture.Server.Client.Keys.CreateAsync(
            new CreateApiKey { Name = "reader", User = "engineer", Scopes = ["artifacts:read"], ExpiresAt = DateTimeOffset.UtcNow.AddDays(1) }, Cancel);
        Assert.Equal(HttpStatusCode.OK, await fixture.StatusAsync(created.Secret, "/api/v1/artifacts", Cancel));
        Assert.Equal(HttpStatusCode.Forbidden, await fixture.StatusAsync(created.Secret, "/api/v1/jobs", Cancel));
        using var narrow = fixture.Client(created.Secret);
        await Assert.ThrowsAsync<ModelOpsException>(() => narrow.Keys.CreateAsync(new CreateApiKey { Name = "wider" }, Cancel));

        await Eventually.HoldsAsync(async () => (await ListedAsync()).LastUsedAt is not null, Cancel); // noted beside the request
        await fixture.Server.Client.Keys.RevokeAsync(created.Key.Id, Cancel);
        Assert.Equal(HttpStatusCode.Unauthorized, await fixture.StatusAsync(created.Secret, "/api/v1/artifacts", Cancel));
        Assert.NotNull((await ListedAsync()).RevokedAt);

        async Task<ApiKey> ListedAsync() => Assert.Single(await fixture.Server.Client.Keys.ListAsync(Cancel), key => key.Id == created.Key.Id);
    }

    [Fact]
    public async Task Key_AScopeNeverWidensTheRoleNorAUserAnother()
    {
        using var viewer = fixture.Client(fixture.KeyOf("viewer"));
        var own = await viewer.Keys.CreateAsync(new CreateApiKey { Name = "own", Scopes = ["users:write", "*"] }, Cancel);
        using var withOwn = fixture.Client(own.Secret);
        var denied = await Assert.ThrowsAsync<ModelOpsException>(() => withOwn.Users.RemoveAsync("engineer", Cancel));
        Assert.Equal(ProblemTypes.Forbidden, denied.Problem.Type);
        var wider = await Assert.ThrowsAsync<ModelOpsException>(() => viewer.Keys.CreateAsync(new CreateApiKey { Name = "x", Role = "admin", Scopes = ["fly"] }, Cancel));
        Assert.Equal(2, wider.Problem.Errors.Count);
        var others = await Assert.ThrowsAsync<ModelOpsException>(() => viewer.Keys.CreateAsync(new CreateApiKey { Name = "x", User = "admin" }, Cancel));
        Assert.Equal(ProblemTypes.Forbidden, others.Problem.Type);
        Assert.All(await viewer.Keys.ListAsync(Cancel), key => Assert.Equal("viewer", key.User));
    }

    private static async Task<HttpStatusCode> AskAsync(HttpClient http, AccessEntry entry)
    {
        var method = entry.Method is "*" or "CONNECT" ? HttpMethod.Get : new HttpMethod(entry.Method);
        using var request = new HttpRequestMessage(method, Parameter().Replace(entry.Path, "none"))
        {
            Version = HttpVersion.Version20,
            Content = entry.Method is "POST" or "PUT" or "PATCH" ? new StringContent("{}", Encoding.UTF8, "application/json") : null,
        };
        using var response = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, Cancel);
        return response.StatusCode;
    }

    [GeneratedRegex(@"\{[^}]*\}", RegexOptions.None, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Parameter();
}
