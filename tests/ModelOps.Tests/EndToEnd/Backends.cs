using System.Collections.Concurrent;
using System.Data.Common;
using System.Security.Cryptography;
using Microsoft.Data.Sqlite;
using ModelOps.Data.Tests.Storage;
using ModelOps.Storage;
using ModelOps.Testing;
using ModelOps.Tests.EndToEnd;
using Npgsql;

[assembly: AssemblyFixture(typeof(Backends))]

namespace ModelOps.Tests.EndToEnd;

/// <summary>
/// What the servers of this test run keep their data in. By default the files of their home folder; with MODELOPS_TEST_BACKENDS=cluster each home
/// has a PostgreSQL database and a bucket of its own, which a restart finds again.
/// </summary>
public sealed class Backends : IAsyncLifetime
{
    private const string Variable = "MODELOPS_TEST_BACKENDS";
    private static readonly TimeSpan patience = TimeSpan.FromSeconds(120);
    private readonly ConcurrentDictionary<string, Lazy<Task<Cluster>>> clusters = new(StringComparer.Ordinal);
    private readonly HttpClient http = new();
    private readonly SemaphoreSlim gate = new(1);
    private MotoServer? moto;

    public static bool AreCluster => Environment.GetEnvironmentVariable(Variable) switch
    {
        null or "" or "embedded" => false,
        "cluster" => true,
        var other => throw new InvalidOperationException($"{Variable} is {other}: it must be embedded or cluster"),
    };

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public async ValueTask DisposeAsync()
    {
        http.Dispose();
        gate.Dispose();
        if (moto is not null) await moto.DisposeAsync();
    }

    /// <returns>The variables by which the server of that home uses its backends.</returns>
    internal static async Task<IReadOnlyDictionary<string, string>> EnvironmentAsync(string home) =>
        AreCluster ? (await ClusterOfAsync(home)).Environment : new Dictionary<string, string>(StringComparer.Ordinal);

    /// <summary>A PostgreSQL database and a bucket, whatever the run's default is.</summary>
    /// <returns>The variables by which a server uses them.</returns>
    internal static async Task<IReadOnlyDictionary<string, string>> NewClusterAsync()
    {
        PostgresServer.RequireOne();
        return (await (await OfRunAsync()).MakeAsync()).Environment;
    }

    /// <summary>Lets the server of one home work on what another's works on, like replicas. Of files that needs no more than the copy that it has.</summary>
    internal static async Task ShareAsync(string home, string copy)
    {
        if (!AreCluster) return;
        var shared = await ClusterOfAsync(home);
        (await OfRunAsync()).clusters[copy] = new(() => Task.FromResult(shared));
    }

    /// <summary>The stores of a home as its server opens them.</summary>
    internal static async Task<ObjectStores> OpenStoresAsync(string home) =>
        ObjectStores.Open(AreCluster ? (await ClusterOfAsync(home)).Objects : new ObjectStoreOptions(), home);

    /// <summary>The metadata of a home, past its server.</summary>
    internal static async Task<DbConnection> OpenDatabaseAsync(string home, CancellationToken cancellationToken)
    {
        DbConnection connection = AreCluster
            ? new NpgsqlConnection($"{(await ClusterOfAsync(home)).Database};Pooling=False")
            : new SqliteConnection($"Data Source={Path.Combine(home, "metadata.db")};Pooling=False");
        await connection.OpenAsync(cancellationToken);
        return connection;
    }

    /// <summary>Takes the place away in which a home's objects are.</summary>
    internal static async Task RemoveObjectsAsync(string home, CancellationToken cancellationToken)
    {
        if (!AreCluster)
        {
            // A file where the store needs a folder fails for every user, root too.
            Directory.Delete(Path.Combine(home, "objects"), recursive: true);
            await File.WriteAllTextAsync(Path.Combine(home, "objects"), "", cancellationToken);
            return;
        }
        using (var stores = await OpenStoresAsync(home))
        {
            foreach (var store in new[] { stores.Objects, stores.Tables })
                await foreach (var info in store.ListAsync("", cancellationToken: cancellationToken)) await store.DeleteAsync(info.Key, cancellationToken);
        }
        var objects = (await ClusterOfAsync(home)).Objects;
        using var removed = await (await OfRunAsync()).http.DeleteAsync(new Uri($"{objects.Endpoint}/{objects.Bucket}"), cancellationToken);
        removed.EnsureSuccessStatusCode();
    }

    private static async Task<Cluster> ClusterOfAsync(string home)
    {
        var run = await OfRunAsync();
        return await run.clusters.GetOrAdd(home, _ => new(run.MakeAsync)).Value;
    }

    private static async Task<Backends> OfRunAsync() =>
        await TestContext.Current.GetFixture<Backends>() ?? throw new InvalidOperationException("The assembly has no Backends.");

    private async Task<Cluster> MakeAsync()
    {
        using var limit = new CancellationTokenSource(patience);
        var database = await (await PostgresServer.OfRunAsync()).CreateDatabaseAsync(limit.Token);
        var objects = new ObjectStoreOptions
        {
            Kind = ObjectStoreKind.S3,
            Endpoint = await MotoUrlAsync(limit.Token),
            Bucket = $"test-{RandomNumberGenerator.GetHexString(16, lowercase: true)}",
            AccessKey = "key",
            SecretKey = "secret",
        };
        using var made = await http.PutAsync(new Uri($"{objects.Endpoint}/{objects.Bucket}"), content: null, limit.Token);
        made.EnsureSuccessStatusCode();
        return new(database, objects);
    }

    private async Task<string> MotoUrlAsync(CancellationToken cancellationToken)
    {
        await gate.WaitAsync(cancellationToken);
        try
        {
            if (moto is null)
            {
                var started = new MotoServer();
                await started.InitializeAsync();
                moto = started;
            }
            return moto.Url;
        }
        finally
        {
            gate.Release();
        }
    }

    private sealed record Cluster(string Database, ObjectStoreOptions Objects)
    {
        public IReadOnlyDictionary<string, string> Environment => new Dictionary<string, string>(Objects.ToEnvironment(), StringComparer.Ordinal)
        {
            ["MODELOPS__DATABASE__PROVIDER"] = "postgresql",
            ["MODELOPS__DATABASE__CONNECTION_STRING"] = Database,
        };
    }
}
