using ModelOps.Registry;

namespace ModelOps.Data.Tests.Registry;

public abstract class UsersTests(TestDatabase database)
{
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task AddAsync_NameTaken_IsAConflict()
    {
        using var registry = await TestRegistry.CreateAsync(database);
        var people = await People.WithAsync(registry, ("ada", Roles.Viewer));
        Assert.IsType<UserChange.Conflict>(await people.Users.AddAsync("ada", Roles.Admin, null, "root", Stop));
        Assert.Equal(Roles.Viewer, (await people.Users.FindAsync("ada", Stop))!.Role);
    }

    [Theory]
    [InlineData("", "viewer", 1)]
    [InlineData("-x", "viewer", 1)]
    [InlineData("a b", "boss", 2)]
    [InlineData("oidc:eve", "viewer", 1)]
    [InlineData("ada.l_9-x", "service", 0)]
    public void Check_NameAndRole_SaysEveryFault(string name, string role, int faults) =>
        Assert.Equal(faults, UserRules.Check(name, role).Count);

    [Theory]
    [InlineData("ada", "short", 1)]
    [InlineData("ada", "ADAadaADAada", 2)]
    [InlineData("ada", "aaaaaaaaaaaaa", 1)]
    [InlineData("ada", "a", 2)]
    [InlineData("ada", "correct horse battery", 0)]
    [InlineData("ada", "ada likes long passwords", 0)]
    public void CheckPassword_Weak_SaysEveryFault(string name, string password, int faults) =>
        Assert.Equal(faults, UserRules.CheckPassword(name, password).Count);

    [Fact]
    public async Task Change_OfTheLastAdministrator_IsAConflictAndChangesNothing()
    {
        using var registry = await TestRegistry.CreateAsync(database);
        var people = await People.WithAsync(registry, ("root", Roles.Admin), ("second", Roles.Admin), ("ada", Roles.Viewer));
        await people.DoneAsync(people.Users.DisableAsync("second", "root", Stop)); // one who cannot sign in does not count
        var session = (await people.Sessions.StartAsync((await people.Users.FindAsync("root", Stop))!, "::1", Stop))!;

        Assert.IsType<UserChange.Conflict>(await people.Users.RemoveAsync("root", "root", Stop));
        Assert.IsType<UserChange.Conflict>(await people.Users.DisableAsync("root", "root", Stop));
        Assert.IsType<UserChange.Conflict>(await people.Users.SetRoleAsync("root", Roles.Engineer, "root", Stop));
        var root = (await people.Users.FindAsync("root", Stop))!;
        Assert.Equal((Roles.Admin, null), (root.Role, root.DisabledAt));
        Assert.False(people.Sessions.HasEnded(session.SessionId));

        await people.DoneAsync(people.Users.EnableAsync("second", "root", Stop));
        await people.DoneAsync(people.Users.RemoveAsync("root", "second", Stop));
    }

    [Fact]
    public async Task Disable_TwoAdministratorsEachOtherAtOnce_LeavesOne()
    {
        using var registry = await TestRegistry.CreateAsync(database);
        var people = await People.WithAsync(registry, ("a", Roles.Admin), ("b", Roles.Admin));
        var changes = await Task.WhenAll(
            Task.Run(() => people.Users.DisableAsync("a", "b", Stop), Stop),
            Task.Run(() => people.Users.DisableAsync("b", "a", Stop), Stop)).WaitAsync(TimeSpan.FromSeconds(60), Stop);
        Assert.Single(changes, change => change is UserChange.Done);
        Assert.Single(await people.Users.ListAsync(Stop), user => user.DisabledAt is null);
    }

    [Fact]
    public async Task Changes_AreAuditedWithWhoDidThem()
    {
        using var registry = await TestRegistry.CreateAsync(database);
        var people = await People.WithAsync(registry, ("root", Roles.Admin), ("ada", Roles.Viewer));
        await people.DoneAsync(people.Users.SetRoleAsync("ada", Roles.Engineer, "root", Stop));
        await people.DoneAsync(people.Users.SetPasswordAsync("ada", "other hash", "ada", Stop));
        var key = await people.KeyAsync("ada");
        await people.Keys.RevokeAsync(key.Key.Id, user: null, "root", Stop);
        await people.DoneAsync(people.Users.RemoveAsync("ada", "root", Stop));

        var rows = await people.Audit.ListAsync(new AuditQuery(100), Stop);
        Assert.Equal(
            ["root user.removed", "root key.revoked", "ada key.created", "ada user.password_set", "root user.role_set", "setup user.added", "setup user.added"],
            rows.Select(row => $"{row.Actor} {row.Action}"));
        Assert.Equal([7L, 6L], (await people.Audit.ListAsync(new AuditQuery(2) { Actor = "root" }, Stop)).Select(row => row.Sequence));
        Assert.Equal([3L], (await people.Audit.ListAsync(new AuditQuery(2, Before: 6) { Actor = "root" }, Stop)).Select(row => row.Sequence));
        Assert.IsType<AuditVerification.Intact>(await people.Audit.VerifyAsync(cancellationToken: Stop));
    }
}

public sealed class UsersOnSqliteTests() : UsersTests(TestDatabase.Sqlite);

public sealed class UsersOnPostgreSqlTests() : UsersTests(TestDatabase.PostgreSql);
