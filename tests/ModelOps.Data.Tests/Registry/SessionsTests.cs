using ModelOps.Registry;

namespace ModelOps.Data.Tests.Registry;

public abstract class SessionsTests(TestDatabase database)
{
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task RefreshAsync_EachToken_WorksOnceAndGivesTheNext()
    {
        using var registry = await TestRegistry.CreateAsync(database);
        var (people, session) = await SignInAsync(registry);
        var second = Assert.IsType<SessionRefresh.Refreshed>(await people.Sessions.RefreshAsync(session.RefreshToken, "::1", Stop)).Token;
        var third = Assert.IsType<SessionRefresh.Refreshed>(await people.Sessions.RefreshAsync(second.RefreshToken, "::1", Stop)).Token;
        Assert.Equal(session.SessionId, third.SessionId);
        Assert.Equal(3, new[] { session, second, third }.Select(token => token.RefreshToken).Distinct().Count());
        var written = await registry.DumpAsync();
        Assert.DoesNotContain(session.RefreshToken[4..], written, StringComparison.Ordinal);
    }

    [Fact]
    public async Task RefreshAsync_SpentToken_EndsTheSessionAndIsAudited()
    {
        using var registry = await TestRegistry.CreateAsync(database);
        var (people, session) = await SignInAsync(registry);
        var next = Assert.IsType<SessionRefresh.Refreshed>(await people.Sessions.RefreshAsync(session.RefreshToken, "::1", Stop)).Token;

        Assert.IsType<SessionRefresh.Refused>(await people.Sessions.RefreshAsync(session.RefreshToken, "10.0.0.9", Stop));
        Assert.True(people.Sessions.HasEnded(session.SessionId));
        Assert.IsType<SessionRefresh.Refused>(await people.Sessions.RefreshAsync(next.RefreshToken, "::1", Stop));
        var reuse = Assert.Single(await people.Audit.ListAsync(new AuditQuery(10) { Action = "session.token_reused" }, Stop));
        Assert.Contains("10.0.0.9", reuse.Detail, StringComparison.Ordinal);
    }

    [Fact]
    public async Task RefreshAsync_OneTokenManyTimesAtOnce_WorksAtMostOnce()
    {
        using var registry = await TestRegistry.CreateAsync(database);
        var (people, session) = await SignInAsync(registry);
        var results = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ =>
            Task.Run(() => people.Sessions.RefreshAsync(session.RefreshToken, "::1", Stop), Stop))).WaitAsync(TimeSpan.FromSeconds(60), Stop);
        Assert.Single(results, result => result is SessionRefresh.Refreshed);
        Assert.True(people.Sessions.HasEnded(session.SessionId));
    }

    [Fact]
    public async Task RefreshAsync_IdleFor30Days_IsRefused()
    {
        using var registry = await TestRegistry.CreateAsync(database);
        var (people, session) = await SignInAsync(registry);
        registry.Time.Advance(Sessions.Idle);
        var next = Assert.IsType<SessionRefresh.Refreshed>(await people.Sessions.RefreshAsync(session.RefreshToken, "::1", Stop)).Token;
        registry.Time.Advance(Sessions.Idle + TimeSpan.FromMilliseconds(1));
        Assert.IsType<SessionRefresh.Refused>(await people.Sessions.RefreshAsync(next.RefreshToken, "::1", Stop));
        await people.Sessions.PruneAsync(Stop);
        Assert.Contains("unknown", Assert.IsType<SessionRefresh.Refused>(await people.Sessions.RefreshAsync(next.RefreshToken, "::1", Stop)).Reason, StringComparison.Ordinal);
    }

    [Fact]
    public async Task StartAsync_UserDisabledSinceRead_IsNull()
    {
        using var registry = await TestRegistry.CreateAsync(database);
        var people = await People.WithAsync(registry, ("root", Roles.Admin), ("ada", Roles.Engineer));
        var ada = (await people.Users.FindAsync("ada", Stop))!;
        await people.DoneAsync(people.Users.DisableAsync("ada", "root", Stop));
        Assert.Null(await people.Sessions.StartAsync(ada, "::1", Stop));
    }

    [Theory]
    [InlineData("disable")]
    [InlineData("remove")]
    [InlineData("role")]
    [InlineData("password")]
    public async Task Change_ThatTakesRightsAway_EndsTheSessionsAlsoAtOtherServers(string change)
    {
        using var registry = await TestRegistry.CreateAsync(database);
        var (people, session) = await SignInAsync(registry);
        await people.DoneAsync(change switch
        {
            "disable" => people.Users.DisableAsync("ada", "root", Stop),
            "remove" => people.Users.RemoveAsync("ada", "root", Stop),
            "role" => people.Users.SetRoleAsync("ada", Roles.Viewer, "root", Stop),
            _ => people.Users.SetPasswordAsync("ada", "another hash", "root", Stop),
        });
        Assert.True(people.Sessions.HasEnded(session.SessionId));
        Assert.IsType<SessionRefresh.Refused>(await people.Sessions.RefreshAsync(session.RefreshToken, "::1", Stop));

        var other = new Sessions(registry.Contexts, people.Audit, registry.Time); // another server, or this one after a restart
        Assert.False(other.HasEnded(session.SessionId));
        await other.SynchronizeAsync(Stop);
        Assert.True(other.HasEnded(session.SessionId));
    }

    [Fact]
    public async Task EndAsync_Session_EndsOnceAndIsForgottenWhenItsTokensHaveExpired()
    {
        using var registry = await TestRegistry.CreateAsync(database);
        var (people, session) = await SignInAsync(registry);
        Assert.True(await people.Sessions.EndAsync(session.SessionId, "ada", Stop));
        Assert.False(await people.Sessions.EndAsync(session.SessionId, "ada", Stop));
        Assert.True(people.Sessions.HasEnded(session.SessionId));
        registry.Time.Advance(Sessions.Remembered + TimeSpan.FromMilliseconds(1));
        await people.Sessions.SynchronizeAsync(Stop);
        Assert.False(people.Sessions.HasEnded(session.SessionId));
    }

    private static async Task<(People People, SessionToken Session)> SignInAsync(TestRegistry registry)
    {
        var people = await People.WithAsync(registry, ("root", Roles.Admin), ("ada", Roles.Engineer));
        return (people, (await people.Sessions.StartAsync((await people.Users.FindAsync("ada", Stop))!, "::1", Stop))!);
    }
}

public sealed class SessionsOnSqliteTests() : SessionsTests(TestDatabase.Sqlite);

public sealed class SessionsOnPostgreSqlTests() : SessionsTests(TestDatabase.PostgreSql);
