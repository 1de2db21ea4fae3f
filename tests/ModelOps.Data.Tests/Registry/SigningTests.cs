using ModelOps.Registry;

namespace ModelOps.Data.Tests.Registry;

public sealed class SigningTests : IDisposable
{
    private readonly TempFolder home = new();

    private string Keys => home.File("keys");

    public void Dispose() => home.Dispose();

    [Fact]
    public void LoadOrCreate_SecondCall_LoadsTheSameKey()
    {
        using var first = SigningKey.LoadOrCreate(Keys);
        using var second = SigningKey.LoadOrCreate(Keys);
        Assert.Matches("^[0-9a-f]{16}$", first.KeyId);
        Assert.Equal(first.KeyId, second.KeyId);
        Assert.Equal(first.Sign("message"u8), second.Sign("message"u8));
    }

    [Fact]
    public void LoadOrCreate_NewFolder_KeepsThePrivateKeyPrivate()
    {
        using var key = SigningKey.LoadOrCreate(Keys);
        const UnixFileMode owner = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        Assert.Equal(owner | UnixFileMode.UserExecute, File.GetUnixFileMode(Keys));
        Assert.Equal(owner, File.GetUnixFileMode(Path.Combine(Keys, "signing.key")));
        Assert.Equal(["signing.key"], Directory.GetFiles(Keys).Select(Path.GetFileName));
    }

    [Fact]
    public async Task LoadOrCreate_ManyAtOnce_AllGetOneKey()
    {
        using var start = new Barrier(participantCount: 8);
        var ids = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => Task.Factory.StartNew(
            () =>
            {
                start.SignalAndWait();
                using var key = SigningKey.LoadOrCreate(Keys);
                return key.KeyId;
            },
            CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default)))
            .WaitAsync(TimeSpan.FromSeconds(20), TestContext.Current.CancellationToken);
        Assert.Single(ids.Distinct());
        Assert.Equal([ids[0]], TrustedKeys.Load(Keys).KeyIds);
    }

    [Fact]
    public void LoadOrCreate_PrivateKeyOpenToOthers_SaysHowToCloseIt()
    {
        SigningKey.LoadOrCreate(Keys).Dispose();
        var path = Path.Combine(Keys, "signing.key");
        File.SetUnixFileMode(path, File.GetUnixFileMode(path) | UnixFileMode.GroupRead);
        var fault = Assert.Throws<InvalidOperationException>(() => SigningKey.LoadOrCreate(Keys));
        Assert.Contains($"chmod 600 '{path}'", fault.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void LoadOrCreate_PrivateKeyBroken_NamesTheFileAndKeepsIt()
    {
        SigningKey.LoadOrCreate(Keys).Dispose();
        var path = Path.Combine(Keys, "signing.key");
        File.WriteAllText(path, "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n");
        var fault = Assert.Throws<InvalidDataException>(() => SigningKey.LoadOrCreate(Keys));
        Assert.Contains(path, fault.Message, StringComparison.Ordinal);
        Assert.True(File.Exists(path));
    }

    [Fact]
    public void Verify_ChangedMessageOrSignature_IsInvalid()
    {
        using var key = SigningKey.LoadOrCreate(Keys);
        var trusted = TrustedKeys.Load(Keys);
        var signature = key.Sign("message"u8);
        Assert.Equal(SignatureCheck.Valid, trusted.Verify(key.KeyId, "message"u8, signature));
        Assert.Equal(SignatureCheck.Invalid, trusted.Verify(key.KeyId, "massage"u8, signature));
        Assert.Equal(SignatureCheck.Invalid, trusted.Verify(key.KeyId, "message"u8, signature.AsSpan(1)));
        signature[63] ^= 1;
        Assert.Equal(SignatureCheck.Invalid, trusted.Verify(key.KeyId, "message"u8, signature));
    }

    [Fact]
    public void Verify_AfterRotation_OldSignaturesStayValidUntilTheirKeyIsRemoved()
    {
        using var old = SigningKey.LoadOrCreate(Keys);
        var signature = old.Sign("message"u8);
        File.Delete(Path.Combine(Keys, "signing.key"));
        using var current = SigningKey.LoadOrCreate(Keys);

        Assert.NotEqual(old.KeyId, current.KeyId);
        Assert.Equal(SignatureCheck.Valid, TrustedKeys.Load(Keys).Verify(old.KeyId, "message"u8, signature));
        File.Delete(Path.Combine(Keys, "trusted", $"{old.KeyId}.pub"));
        Assert.Equal(SignatureCheck.UntrustedKey, TrustedKeys.Load(Keys).Verify(old.KeyId, "message"u8, signature));
    }

    [Fact]
    public void Load_FileUnderAnotherKeysName_IsKnownByItsOwnId()
    {
        using var ours = SigningKey.LoadOrCreate(Keys);
        using var theirs = SigningKey.LoadOrCreate(home.File("theirs"));
        File.Copy(Path.Combine(home.File("theirs"), "trusted", $"{theirs.KeyId}.pub"), Path.Combine(Keys, "trusted", "partner.pub"));
        Assert.Equal(new[] { ours.KeyId, theirs.KeyId }.Order(), TrustedKeys.Load(Keys).KeyIds.Order());
    }

    [Fact]
    public void Load_FileWithoutKey_NamesIt()
    {
        SigningKey.LoadOrCreate(Keys).Dispose();
        var path = Path.Combine(Keys, "trusted", "note.pub");
        File.WriteAllText(path, "hello");
        Assert.Contains(path, Assert.Throws<InvalidDataException>(() => TrustedKeys.Load(Keys)).Message, StringComparison.Ordinal);
    }
}
