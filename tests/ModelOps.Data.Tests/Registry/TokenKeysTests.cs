using ModelOps.Registry;

namespace ModelOps.Data.Tests.Registry;

public abstract class TokenKeysTests(TestDatabase database)
{
    [Fact]
    public async Task Current_AfterItsPeriod_IsANewKeyAndTheOldOneStaysForAWhile()
    {
        using var registry = await TestRegistry.CreateAsync(database);
        using var keys = TokenKeys.Open(registry.Keys, registry.Time);
        var first = keys.Current().Id;
        registry.Time.Advance(TokenKeys.SigningPeriod - TimeSpan.FromSeconds(1));
        Assert.Equal(first, keys.Current().Id);

        registry.Time.Advance(TimeSpan.FromSeconds(1));
        var second = keys.Current().Id;
        Assert.Equal([second, first], keys.All.Select(key => key.Id));
        registry.Time.Advance(TokenKeys.Overlap);
        keys.Current();
        Assert.Equal([second], keys.All.Select(key => key.Id));
        using var reopened = TokenKeys.Open(registry.Keys, registry.Time);
        Assert.Equal([second], reopened.All.Select(key => key.Id));
    }

    [Fact]
    public async Task Open_KeyFiles_AreForTheOwnerOnlyAndRefusedOtherwise()
    {
        using var registry = await TestRegistry.CreateAsync(database);
        using (TokenKeys.Open(registry.Keys, registry.Time))
        {
        }
        var file = Assert.Single(Directory.GetFiles(Path.Combine(registry.Keys, "tokens")));
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(file));
        File.SetUnixFileMode(file, UnixFileMode.UserRead | UnixFileMode.GroupRead);
        Assert.Throws<InvalidOperationException>(() => TokenKeys.Open(registry.Keys, registry.Time));
        File.SetUnixFileMode(file, UnixFileMode.UserRead);
        await File.WriteAllTextAsync(Path.Combine(registry.Keys, "tokens", "1-x.pem"), "not a key", TestContext.Current.CancellationToken);
        File.SetUnixFileMode(Path.Combine(registry.Keys, "tokens", "1-x.pem"), UnixFileMode.UserRead);
        Assert.Throws<InvalidDataException>(() => TokenKeys.Open(registry.Keys, registry.Time));
    }
}

public sealed class TokenKeysOnSqliteTests() : TokenKeysTests(TestDatabase.Sqlite);

public sealed class TokenKeysOnPostgreSqlTests() : TokenKeysTests(TestDatabase.PostgreSql);
