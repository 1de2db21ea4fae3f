using System.Text.Json;
using System.Text.Json.Nodes;
using ModelOps.Cli;
using ModelOps.Client;
using ModelOps.Tests.Cli;
using ModelOps.Tests.EndToEnd;

namespace ModelOps.Tests.Security;

/// <summary>The command line's users, keys, sessions and audit, against the real server.</summary>
public sealed class SecurityCommandTests(SecurityFixture fixture) : IClassFixture<SecurityFixture>, IDisposable
{
    private readonly string elsewhere = Directory.CreateTempSubdirectory("modelops-elsewhere-").FullName;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    private string SessionsFile => Path.Combine(elsewhere, "sessions.json");

    public void Dispose() => Directory.Delete(elsewhere, recursive: true);

    [Fact]
    public async Task Login_FromAnotherMachine_CommandsUseItUntilLogout()
    {
        await LoginAsync("approver");
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(SessionsFile));
        var who = await ElsewhereAsync("whoami", "--json");
        Assert.Equal("approver", JsonSerializer.Deserialize(who.Out, WireJson.Default.WhoAmI)!.Name);
        Assert.Equal(ExitCodes.NotAllowed, (await ElsewhereAsync("users", "list")).Code);

        var token = Session()["access_token"]!.GetValue<string>();
        Assert.Equal(ExitCodes.Done, (await ElsewhereAsync("logout")).Code);
        Assert.Equal(System.Net.HttpStatusCode.Unauthorized, await fixture.StatusAsync(token, "/api/v1/jobs", Cancel));
        Assert.DoesNotContain("mor_", await File.ReadAllTextAsync(SessionsFile, Cancel), StringComparison.Ordinal);
        Assert.Equal(ExitCodes.Unreachable, (await ElsewhereAsync("whoami")).Code);
        Assert.Equal(ExitCodes.NotFound, (await ElsewhereAsync("logout")).Code);
    }

    [Fact]
    public async Task Commands_AtOnceWithAnExpiredAccessToken_RenewItOnceAndAllWork()
    {
        await LoginAsync("viewer");
        var file = JsonNode.Parse(await File.ReadAllTextAsync(SessionsFile, Cancel))!;
        var before = file["sessions"]![0]!["refresh_token"]!.GetValue<string>();
        file["sessions"]![0]!["expires_at"] = DateTimeOffset.UtcNow.AddSeconds(-1).ToString("O");
        await File.WriteAllTextAsync(SessionsFile, file.ToJsonString(), Cancel);

        var runs = await Task.WhenAll(Enumerable.Range(0, 6).Select(_ => Task.Run(() => ElsewhereAsync("whoami"), Cancel)));

        Assert.All(runs, run => Assert.True(run.Code == ExitCodes.Done, run.Error));
        Assert.NotEqual(before, Session()["refresh_token"]!.GetValue<string>());
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(SessionsFile));
    }

    [Fact]
    public async Task Login_WrongPassword_GivesCode4AndStoresNothing()
    {
        var name = await fixture.NewUserAsync("viewer");
        var run = await ElsewhereAsync("login", "--server", fixture.Server.Client.Server.AbsoluteUri, "--user", name, "--ca", fixture.Server.CaCertificate, "--password-stdin");
        Assert.Equal(ExitCodes.Usage, run.Code); // stdin is empty
        run = await RunAsync(
            ["login", "--server", fixture.Server.Client.Server.AbsoluteUri, "--user", name, "--ca", fixture.Server.CaCertificate, "--password-stdin", "--home", elsewhere],
            "a wrong password\n");
        Assert.Equal(ExitCodes.NotAllowed, run.Code);
        Assert.False(File.Exists(SessionsFile));
    }

    [Fact]
    public async Task Users_AddedChangedAndRemoved()
    {
        var added = await LocalAsync("correct horse battery\n", "users", "add", "cli-ada", "--role", "engineer", "--password-stdin", "--json");
        Assert.Equal((ExitCodes.Done, "engineer"), (added.Code, JsonSerializer.Deserialize(added.Out, WireJson.Default.User)!.Role));
        Assert.Equal(ExitCodes.Conflict, (await LocalAsync("correct horse battery\n", "users", "add", "cli-ada", "--role", "viewer", "--password-stdin")).Code);
        var faults = await LocalAsync("aaa\n", "users", "add", "cli ada", "--role", "boss", "--password-stdin");
        Assert.Equal(ExitCodes.Usage, faults.Code);
        Assert.Equal(4, faults.Error.Split("\n  - ").Length - 1);

        Assert.Contains("approver", (await LocalAsync("", "users", "set-role", "cli-ada", "approver")).Out, StringComparison.Ordinal);
        Assert.NotNull(JsonSerializer.Deserialize((await LocalAsync("", "users", "disable", "cli-ada", "--json")).Out, WireJson.Default.User)!.DisabledAt);
        Assert.Null(JsonSerializer.Deserialize((await LocalAsync("", "users", "enable", "cli-ada", "--json")).Out, WireJson.Default.User)!.DisabledAt);
        Assert.Equal(ExitCodes.Done, (await LocalAsync("another long password\n", "users", "reset-password", "cli-ada", "--password-stdin")).Code);
        Assert.Contains("cli-ada", (await LocalAsync("", "users", "list")).Out, StringComparison.Ordinal);
        Assert.Equal(ExitCodes.Done, (await LocalAsync("", "users", "remove", "cli-ada")).Code);
        Assert.Equal(ExitCodes.NotFound, (await LocalAsync("", "users", "show", "cli-ada")).Code);
    }

    [Fact]
    public async Task Keys_CreatedListedRevoked()
    {
        var run = await LocalAsync("", "keys", "create", "ci", "--user", "service", "--scope", "artifacts:write", "--scope", "inference", "--expires", "30d", "--json");
        var created = JsonSerializer.Deserialize(run.Out, WireJson.Default.CreatedApiKey)!;
        Assert.Equal(["artifacts:write", "inference"], created.Key.Scopes);
        Assert.InRange(created.Key.ExpiresAt!.Value, DateTimeOffset.UtcNow.AddDays(29), DateTimeOffset.UtcNow.AddDays(31));
        var list = await LocalAsync("", "keys", "list");
        Assert.Contains(created.Key.Id, list.Out, StringComparison.Ordinal);
        Assert.DoesNotContain(created.Secret[3..], list.Out, StringComparison.Ordinal);
        Assert.Equal(ExitCodes.Done, (await LocalAsync("", "keys", "revoke", created.Key.Id)).Code);
        Assert.Equal(ExitCodes.NotFound, (await LocalAsync("", "keys", "revoke", created.Key.Id)).Code);
        Assert.Equal(ExitCodes.Usage, (await LocalAsync("", "keys", "create", "x", "--expires", "soon")).Code);
    }

    [Theory]
    [InlineData("UPDATE audit SET actor = 'mallory' WHERE sequence = 2", false, "row 2 ")]
    [InlineData("DELETE FROM audit WHERE sequence = 3", false, "row 3 is missing")]
    [InlineData("DELETE FROM audit WHERE sequence >= 4", true, "are missing")]
    public async Task AuditVerify_TamperedDatabase_NamesTheRowWithCode6(string tampering, bool withHead, string fault)
    {
        var home = TestServer.NewHome();
        try
        {
            await using var server = await TestServer.StartAsync(home, Cancel);
            foreach (var name in new[] { "a", "b", "c" })
                await server.Client.Users.CreateAsync(new CreateUser { Name = name, Role = "viewer" }, Cancel);
            var intact = await RunAsync(["audit", "verify", "--json", "--home", home]);
            Assert.Equal(ExitCodes.Done, intact.Code);
            var head = JsonSerializer.Deserialize(intact.Out, WireJson.Default.AuditReport)!.Head!;
            Assert.StartsWith("5:", head, StringComparison.Ordinal); // the first start's user and key, and these three
            Assert.Equal(ExitCodes.Done, (await RunAsync(["audit", "verify", "--head", head, "--home", home])).Code);

            await TamperAsync(home, tampering);

            string[] noted = withHead ? ["--head", head] : [];
            var found = await RunAsync(["audit", "verify", .. noted, "--home", home]);
            Assert.Equal(ExitCodes.VerificationFailed, found.Code);
            Assert.Contains(fault, found.Error, StringComparison.Ordinal);
            Assert.Equal(ExitCodes.VerificationFailed, (await RunAsync(["audit", "verify", .. noted, "--json", "--home", home])).Code);
        }
        finally
        {
            Directory.Delete(home, recursive: true);
        }
    }

    [Fact]
    public async Task AuditList_AfterAChange_SaysWhoDidWhat()
    {
        using (var engineer = fixture.Client(fixture.KeyOf("engineer")))
            await engineer.Jobs.StartTrainingAsync(new CreateTraining { Base = "nobody", Dataset = "nothing", Name = "x" }, Cancel);
        var run = await LocalAsync("", "audit", "list", "--actor", "engineer", "--action", "job.started", "--since", "2026-01-01", "--json");
        var row = JsonSerializer.Deserialize(run.Out, WireJson.Default.PageAuditEntry)!.Items[0];
        Assert.Contains(await fixture.Server.Client.Jobs.ListAsync(cancellationToken: Cancel).Select(job => job.Id).ToListAsync(Cancel), id => id == row.Subject);
        Assert.Contains("job.started", (await LocalAsync("", "audit", "list", "--limit", "50")).Out, StringComparison.Ordinal);
    }

    [Fact]
    public async Task ConfigShow_Changed_TellsAdministratorsWhereAValueComesFrom()
    {
        var run = await LocalAsync("", "config", "show", "--changed", "--json");
        var values = JsonSerializer.Deserialize(run.Out, WireJson.Default.PageConfiguredValue)!.Items;
        Assert.Contains(new ConfiguredValue("sign_in:audience", OidcIssuer.Audience, "environment MODELOPS__SIGN_IN__AUDIENCE", Secret: false), values);
        Assert.DoesNotContain(values, value => value.Source == "default");
        Assert.Contains("sign_in:audience", (await LocalAsync("", "config", "show")).Out, StringComparison.Ordinal);
        using var engineer = fixture.Client(fixture.KeyOf("engineer"));
        Assert.Equal(ProblemTypes.Forbidden, (await Assert.ThrowsAsync<ModelOpsException>(() => engineer.GetConfigurationAsync(Cancel))).Problem.Type);
    }

    /// <summary>As the owner of the database would: without the triggers.</summary>
    private static async Task TamperAsync(string home, string sql)
    {
        await using var database = await Backends.OpenDatabaseAsync(home, Cancel);
        await using var command = database.CreateCommand();
        var of = Backends.AreCluster ? " ON audit" : "";
#pragma warning disable CA2100 // the statements stand in this test
        command.CommandText = $"DROP TRIGGER audit_no_update{of}; DROP TRIGGER audit_no_delete{of}; {sql}";
#pragma warning restore CA2100
        await command.ExecuteNonQueryAsync(Cancel);
    }

    private async Task LoginAsync(string user)
    {
        var run = await RunAsync(
            ["login", "--server", fixture.Server.Client.Server.AbsoluteUri, "--user", user, "--ca", fixture.Server.CaCertificate, "--password-stdin", "--home", elsewhere],
            SecurityFixture.Password + "\n");
        Assert.True(run.Code == ExitCodes.Done, run.Error);
    }

    private JsonNode Session() => JsonNode.Parse(File.ReadAllText(SessionsFile))!["sessions"]![0]!;

    private Task<CliRun> ElsewhereAsync(params string[] args) => RunAsync([.. args, "--home", elsewhere]);

    private Task<CliRun> LocalAsync(string input, params string[] args) =>
        RunAsync([.. args, "--home", fixture.Server.Home], input);

    private static Task<CliRun> RunAsync(string[] args, string input = "") =>
        CliRun.Of(args, input, cancellationToken: Cancel).WaitAsync(TimeSpan.FromSeconds(90), Cancel);
}
