using ModelOps.Registry;

namespace ModelOps.Data.Tests.Registry;

/// <summary>Rotation, trust in others, and revocation, seen by a registry and by a worker's reader that run all the while.</summary>
public abstract class SigningKeysTests(TestDatabase database)
{
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task RotateAsync_RunningRegistry_SignsWithTheNewKeyAndStillBelievesTheOld()
    {
        using var registry = await TestRegistry.CreateAsync(database);
        var root = await registry.RegisterAsync(await registry.DraftAsync("base"));
        var reader = registry.Reader;
        var old = registry.Key.KeyId;

        var next = await registry.SigningKeys.RotateAsync("root", Stop);
        var adapter = await registry.RegisterAsync(await registry.DraftAsync("adapter", ArtifactKinds.Adapter, TestRegistry.Parent("base", root)));

        Assert.NotEqual(old, next.KeyId);
        Assert.Equal(next.KeyId, registry.Key.KeyId);
        var loaded = Assert.IsType<ArtifactLoad.Verified>(await reader.LoadAsync("adapter", "1", adapter.Digest, Stop)).Artifact;
        Assert.Equal(next.KeyId, loaded.KeyId);
        Assert.True((await registry.Artifacts.VerifyAsync("adapter", deep: true, Stop))!.Verified);
        using var restarted = SigningKey.LoadOrCreate(registry.Keys);
        Assert.Equal(next.KeyId, restarted.KeyId);
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(Path.Combine(registry.Keys, "signing.key")));
    }

    [Fact]
    public async Task RevokeAsync_KeyOfAnAncestor_RefusesEverythingMadeFromItInRunningReaders()
    {
        using var registry = await TestRegistry.CreateAsync(database);
        var root = await registry.RegisterAsync(await registry.DraftAsync("base"));
        var old = registry.Key.KeyId;
        await registry.SigningKeys.RotateAsync("root", Stop);
        var adapter = await registry.RegisterAsync(await registry.DraftAsync("adapter", ArtifactKinds.Adapter, TestRegistry.Parent("base", root)));
        var reader = registry.Reader;
        Assert.IsType<ArtifactLoad.Verified>(await reader.LoadAsync("adapter", "1", adapter.Digest, Stop));

        var revoked = Assert.IsType<KeyChange.Changed>(await registry.SigningKeys.RevokeAsync(old, "the laptop was stolen", "root", Stop));
        Assert.Equal("the laptop was stolen", revoked.Key.Revocation!.Reason);

        var failure = Assert.IsType<ArtifactLoad.Refused>(await reader.LoadAsync("adapter", "1", adapter.Digest, Stop)).Failure;
        Assert.Equal(("base@1", VerificationChecks.Key), (failure.Artifact, failure.Check));
        Assert.Contains("the laptop was stolen", failure.Detail, StringComparison.Ordinal);
        Assert.IsType<ArtifactLoad.Refused>(await registry.Artifacts.UseAsync("base", Stop));
    }

    [Fact]
    public async Task RevokeAsync_KeyThatSignsNowOrUnknown_IsRefused()
    {
        using var registry = await TestRegistry.CreateAsync(database);
        var own = Assert.IsType<KeyChange.Refused>(await registry.SigningKeys.RevokeAsync(registry.Key.KeyId, "why not", "root", Stop));
        Assert.Contains("rotate first", own.Reason, StringComparison.Ordinal);
        Assert.IsType<KeyChange.NotFound>(await registry.SigningKeys.RevokeAsync("0123456789abcdef", "gone", "root", Stop));
        Assert.IsType<KeyChange.Invalid>(await registry.SigningKeys.RevokeAsync(registry.Key.KeyId, " ", "root", Stop));
    }

    [Fact]
    public async Task TrustAsync_KeyOfAnother_IsBelievedAtOnceAndRecorded()
    {
        using var registry = await TestRegistry.CreateAsync(database);
        var root = await registry.RegisterAsync(await registry.DraftAsync("base"));
        using var partner = SigningKey.LoadOrCreate(registry.File("partner"));
        registry.EditManifest(root.Manifest, _ => SignedManifest.Sign(root.Manifest, partner));
        var reader = registry.Reader;
        Assert.IsType<ArtifactLoad.Refused>(await reader.LoadAsync("base", "1", cancellationToken: Stop));

        var added = Assert.IsType<KeyChange.Changed>(await registry.SigningKeys.TrustAsync(partner.Public.Pem, "partner lab", "root", Stop));
        Assert.Equal(new KeyAddition("partner lab", "root", registry.Time.GetUtcNow()), added.Key.Added);
        Assert.IsType<ArtifactLoad.Verified>(await reader.LoadAsync("base", "1", cancellationToken: Stop));
        Assert.Equal(partner.Public.BundlePem, registry.SigningKeys.Find(partner.KeyId)!.Public.BundlePem);

        await registry.SigningKeys.RevokeAsync(partner.KeyId, "contract ended", "root", Stop);
        Assert.IsType<KeyChange.Refused>(await registry.SigningKeys.TrustAsync(partner.Public.Pem, "again", "root", Stop));
        Assert.IsType<AuditVerification.Intact>(await registry.Audit.VerifyAsync(cancellationToken: Stop));
        Assert.Equal(
            ["signing_key.trusted", "signing_key.revoked"],
            (await registry.AuditRowsAsync()).Where(row => row.Subject == partner.KeyId).Select(row => row.Action));
    }

    [Theory]
    [InlineData("hello")]
    [InlineData("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n")]
    [InlineData("-----BEGIN PUBLIC KEY-----\nnot base64\n-----END PUBLIC KEY-----\n")]
    public async Task TrustAsync_TextWithoutAKey_IsInvalid(string pem)
    {
        using var registry = await TestRegistry.CreateAsync(database);
        Assert.Equal(2, Assert.IsType<KeyChange.Invalid>(await registry.SigningKeys.TrustAsync(pem, "", "root", Stop)).Errors.Count);
    }

    [Fact]
    public void LoadOrCreate_KeyFileOfAnOlderVersion_GetsABundleKeyAndKeepsItsId()
    {
        using var home = new TempFolder();
        string id;
        using (var first = SigningKey.LoadOrCreate(home.Path))
            id = first.KeyId;
        var path = home.File("signing.key");
        var text = File.ReadAllText(path);
        File.WriteAllText(path, text[..(text.IndexOf("-----END PRIVATE KEY-----", StringComparison.Ordinal) + 26)]);
        using var upgraded = SigningKey.LoadOrCreate(home.Path);
        using var again = SigningKey.LoadOrCreate(home.Path);
        Assert.Equal(id, upgraded.KeyId);
        Assert.Equal(upgraded.Public.BundleHint, again.Public.BundleHint);
        Assert.Equal(upgraded.Public.BundlePem, Assert.Single(TrustedKeys.Load(home.Path).List()).Public.BundlePem);
    }

    [Fact]
    public async Task Verify_KeyFileBrokenWhileRunning_BelievesItNoMoreAndTheOthersStill()
    {
        using var registry = await TestRegistry.CreateAsync(database);
        await registry.RegisterAsync(await registry.DraftAsync("base"));
        using var partner = SigningKey.LoadOrCreate(registry.File("partner"));
        var keys = registry.SigningKeys;
        await keys.TrustAsync(partner.Public.Pem, "partner", "root", Stop);
        await File.WriteAllTextAsync(Path.Combine(registry.Keys, "trusted", $"{partner.KeyId}.pub"), "x", Stop);
        Assert.Null(keys.Find(partner.KeyId));
        Assert.IsType<ArtifactLoad.Verified>(await registry.Artifacts.UseAsync("base", Stop));
    }

    [Fact]
    public async Task RevokeArtifact_Base_RefusesItAndWhatWasMadeFromItWithoutTheDatabase()
    {
        using var registry = await TestRegistry.CreateAsync(database);
        var (root, _, gguf) = await registry.RegisterChainAsync();
        var reader = registry.Reader;
        Assert.IsType<RevokeArtifact.Revoked>(await registry.Revocations.RevokeAsync("base", "poisoned data", "grace", Stop));

        foreach (var (name, digest) in new[] { ("base", root.Digest), ("gguf", gguf.Digest) })
        {
            var failure = Assert.IsType<ArtifactLoad.Refused>(await reader.LoadAsync(name, "1", digest, Stop)).Failure;
            Assert.Equal(("base@1", VerificationChecks.Revocation), (failure.Artifact, failure.Check));
            Assert.Contains("poisoned data", failure.Detail, StringComparison.Ordinal);
        }
        Assert.False((await registry.Artifacts.VerifyAsync("gguf", Stop))!.Verified);
        Assert.Equal("artifact.revoked", Assert.Single(await registry.AuditRowsAsync()).Action);
        Assert.IsType<RevokeArtifact.NotFound>(await registry.Revocations.RevokeAsync("nobody", "x", "grace", Stop));
        Assert.IsType<RevokeArtifact.Invalid>(await registry.Revocations.RevokeAsync("base", "", "grace", Stop));
    }

    [Fact]
    public async Task RevokeArtifact_RevocationEditedOrBroken_StillRefuses()
    {
        using var registry = await TestRegistry.CreateAsync(database);
        var (root, _, _) = await registry.RegisterChainAsync();
        await registry.Revocations.RevokeAsync("base", "poisoned data", "grace", Stop);
        var path = registry.Store.LocalPath("artifacts/revocations/base/1.json")!;
        foreach (var text in new[] { "", "{}", "not json", (await File.ReadAllTextAsync(path, Stop)).Replace("\"sig\":\"", "\"sig\":\"AAAA", StringComparison.Ordinal) })
        {
            await File.WriteAllTextAsync(path, text, Stop);
            Assert.IsType<ArtifactLoad.Refused>(await registry.Reader.LoadAsync("base", "1", root.Digest, Stop));
        }
    }
}

public sealed class SigningKeysOnSqliteTests() : SigningKeysTests(TestDatabase.Sqlite);

public sealed class SigningKeysOnPostgreSqlTests() : SigningKeysTests(TestDatabase.PostgreSql);
