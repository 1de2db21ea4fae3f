using System.Text;
using Microsoft.EntityFrameworkCore;
using ModelOps.Registry;
using ModelOps.Storage;
using ModelOps.Testing;

namespace ModelOps.Data.Tests.Registry;

public enum TestDatabase
{
    Sqlite,
    PostgreSql,
}

/// <summary>A registry on a real SQLite file or PostgreSQL database and a real folder of objects, gone when disposed.</summary>
internal sealed class TestRegistry : IDisposable
{
    private readonly TempFolder home;
    private readonly PostgresServer? server;

    private TestRegistry(TempFolder home, MetadataOptions options, PostgresServer? server)
    {
        this.home = home;
        Options = options;
        this.server = server;
        Database = MetadataDatabase.Open(options, home.File("metadata.db"));
        Store = new FileObjectStore(home.File("objects"));
        Key = SigningKey.LoadOrCreate(Keys);
        Artifacts = On(Store);
    }

    public string Keys => home.File("keys");
    public MetadataOptions Options { get; }
    public MetadataDatabase Database { get; }
    public FileObjectStore Store { get; }
    public SigningKey Key { get; }
    public IDbContextFactory<MetadataContext> Contexts => Database;
    public ManualTime Time { get; } = new(new DateTimeOffset(2026, 3, 1, 12, 0, 0, TimeSpan.Zero));
    public ArtifactRegistry Artifacts { get; }
    public ArtifactReader Reader => new(Store, TrustedKeys.Load(Keys));

    public AuditLog Audit => new(Contexts, Time);
    public SigningKeys SigningKeys => new(Keys, Key, TrustedKeys.Load(Keys), Audit, Time);
    public ArtifactRevocations Revocations => new(Artifacts, Store, Key, Audit, Time);

    public async Task<IReadOnlyList<AuditRow>> AuditRowsAsync()
    {
        using var context = await Contexts.CreateDbContextAsync(TestContext.Current.CancellationToken);
        return await context.Audit.AsNoTracking().OrderBy(row => row.Sequence).ToListAsync(TestContext.Current.CancellationToken);
    }

    /// <summary>Every row of every table, as text.</summary>
    public async Task<string> DumpAsync()
    {
        using var dump = new MemoryStream();
        await new MetadataBackup(Database, Keys, Time).WriteAsync(dump, withKeys: false, TestContext.Current.CancellationToken);
        return Encoding.UTF8.GetString(dump.ToArray());
    }

    public static async Task<TestRegistry> CreateAsync(TestDatabase database)
    {
        var registry = await CreateEmptyAsync(database);
        await registry.Database.MigrateAsync(TestContext.Current.CancellationToken);
        return registry;
    }

    /// <summary>Before the first migration.</summary>
    public static async Task<TestRegistry> CreateEmptyAsync(TestDatabase database)
    {
        if (database == TestDatabase.Sqlite) return new(new TempFolder(), new MetadataOptions(), server: null);
        var cluster = await PostgresServer.OfRunAsync();
        var own = await cluster.CreateDatabaseAsync(TestContext.Current.CancellationToken);
        return new(new TempFolder(), new MetadataOptions { Provider = MetadataOptions.PostgreSql, ConnectionString = own }, cluster);
    }

    /// <summary>As another process would open it.</summary>
    public MetadataDatabase OpenAgain() => MetadataDatabase.Open(Options, home.File("metadata.db"));

    public ArtifactRegistry On(IObjectStore store, IDbContextFactory<MetadataContext>? contexts = null) =>
        new(contexts ?? Contexts, store, Key, TrustedKeys.Load(Keys), Time);

    public string File(string name) => home.File(name);

    /// <summary>Stores the text as a blob.</summary>
    public async Task<ManifestFile> StoreAsync(string path, string text)
    {
        var source = home.File(Guid.NewGuid().ToString("N"));
        await System.IO.File.WriteAllTextAsync(source, text, TestContext.Current.CancellationToken);
        var blob = await new BlobStore(Store).PutFileAsync(source, TestContext.Current.CancellationToken);
        return new ManifestFile(path, blob.Size, blob.Sha256);
    }

    public async Task<ArtifactDraft> DraftAsync(string name, string kind = ArtifactKinds.Model, params ManifestParent[] parents) => new()
    {
        Name = name,
        Kind = kind,
        Files =
        [
            await StoreAsync("config.json", $$"""{"of":"{{name}}"}"""),
            await StoreAsync("weights/model.safetensors", $"weights of {name}"),
        ],
        Parents = parents,
        Metrics = new Dictionary<string, double> { ["loss_after"] = 1.25 },
        Attributes = new Dictionary<string, string> { ["licence"] = "Apache-2.0" },
    };

    public async Task<Registration.Registered> RegisterAsync(ArtifactDraft draft) =>
        Assert.IsType<Registration.Registered>(await Artifacts.RegisterAsync(draft, "ada", TestContext.Current.CancellationToken));

    /// <summary>base → adapter → gguf, each version 1.</summary>
    public async Task<(Registration.Registered Base, Registration.Registered Adapter, Registration.Registered Gguf)> RegisterChainAsync()
    {
        var root = await RegisterAsync(await DraftAsync("base"));
        var adapter = await RegisterAsync(await DraftAsync("adapter", ArtifactKinds.Adapter, Parent("base", root)));
        var gguf = await RegisterAsync(await DraftAsync("gguf", ArtifactKinds.Gguf, Parent("adapter", adapter), Parent("base", root)));
        return (root, adapter, gguf);
    }

    public static ManifestParent Parent(string role, Registration.Registered artifact) =>
        new(role, artifact.Manifest.Reference, artifact.Digest);

    /// <summary>Where the file's bytes are stored.</summary>
    public string BlobPath(ArtifactManifest manifest, string path) =>
        Store.LocalPath(BlobStore.KeyOf(manifest.Files.Single(file => file.Path == path).Sha256))!;

    public string ManifestPath(ArtifactManifest manifest) => Store.LocalPath(SignedManifest.KeyOf(manifest.Name, manifest.Version))!;

    public static void FlipByte(string path, int at)
    {
        var bytes = System.IO.File.ReadAllBytes(path);
        bytes[at] ^= 1;
        System.IO.File.WriteAllBytes(path, bytes);
    }

    public void EditManifest(ArtifactManifest manifest, Func<SignedManifest, SignedManifest> edit)
    {
        var path = ManifestPath(manifest);
        Assert.True(SignedManifest.TryParse(System.IO.File.ReadAllBytes(path), out var signed, out var fault), fault);
        System.IO.File.WriteAllBytes(path, edit(signed).ToJson());
    }

    public static SignedManifest Replace(SignedManifest signed, string text, string by) =>
        signed with { Payload = Encoding.UTF8.GetBytes(Encoding.UTF8.GetString(signed.Payload.Span).Replace(text, by)) };

    public void Dispose()
    {
        Key.Dispose();
        Database.DisposeAsync().AsTask().GetAwaiter().GetResult();
        server?.DropDatabaseAsync(Options.ConnectionString!, CancellationToken.None).GetAwaiter().GetResult();
        home.Dispose();
    }
}

internal sealed class TempFolder : IDisposable
{
    public string Path { get; } = Directory.CreateTempSubdirectory("modelops-").FullName;

    public string File(string name) => System.IO.Path.Combine(Path, name);

    public void Dispose() => Directory.Delete(Path, recursive: true);
}

internal sealed class ManualTime(DateTimeOffset now) : TimeProvider
{
    private DateTimeOffset current = now;

    public override DateTimeOffset GetUtcNow() => current;

    public void Advance(TimeSpan by) => current += by;
}
