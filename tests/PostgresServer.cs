using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using Npgsql;

[assembly: AssemblyFixture(typeof(ModelOps.Testing.PostgresServer))]

namespace ModelOps.Testing;

/// <summary>
/// A PostgreSQL cluster of the test run's own, started when the first test needs it; or the server that MODELOPS_TEST_POSTGRES names.
/// Where none is installed the tests are skipped, and fail where CI is set.
/// </summary>
public sealed class PostgresServer : IAsyncLifetime
{
    private const string Missing = "these tests need PostgreSQL: ./test --install";
    private static readonly TimeSpan patience = TimeSpan.FromSeconds(120);
    private readonly SemaphoreSlim gate = new(1);
    private string? server;
    private string? folder;
    private string[] asUser = [];

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public static bool IsAvailable => External is not null || Programs() is not null;

    private static string? External => Environment.GetEnvironmentVariable("MODELOPS_TEST_POSTGRES") is { Length: > 0 } text ? text : null;

    /// <summary>Skips or fails the test where there is no server.</summary>
    public static void RequireOne()
    {
        if (IsAvailable) return;
        if (Environment.GetEnvironmentVariable("CI") != "true") Assert.Skip(Missing);
        throw new InvalidOperationException(Missing);
    }

    /// <summary>The one of this test run.</summary>
    public static async Task<PostgresServer> OfRunAsync() =>
        await TestContext.Current.GetFixture<PostgresServer>() ?? throw new InvalidOperationException("The assembly has no PostgresServer.");

    /// <summary>Makes an empty database.</summary>
    /// <returns>Its connection string.</returns>
    public async Task<string> CreateDatabaseAsync(CancellationToken cancellationToken)
    {
        await StartAsync(cancellationToken);
        var name = $"test_{RandomNumberGenerator.GetHexString(16, lowercase: true)}";
        await ExecuteAsync($"CREATE DATABASE {name}", cancellationToken);
        return new NpgsqlConnectionStringBuilder(server) { Database = name }.ToString();
    }

    /// <summary>Makes an empty database.</summary>
    /// <returns>The variables by which a server uses it.</returns>
    public async Task<IReadOnlyDictionary<string, string>> ServerEnvironmentAsync(CancellationToken cancellationToken) =>
        new Dictionary<string, string>(StringComparer.Ordinal)
        {
            ["MODELOPS__DATABASE__PROVIDER"] = "postgresql",
            ["MODELOPS__DATABASE__CONNECTION_STRING"] = await CreateDatabaseAsync(cancellationToken),
        };

    public async Task DropDatabaseAsync(string connectionString, CancellationToken cancellationToken) =>
        await ExecuteAsync($"DROP DATABASE IF EXISTS {new NpgsqlConnectionStringBuilder(connectionString).Database} WITH (FORCE)", cancellationToken);

    public async ValueTask DisposeAsync()
    {
        gate.Dispose();
        if (folder is null) return;
        await RunAsync("pg_ctl", ["-D", Path.Combine(folder, "data"), "-m", "immediate", "-w", "stop"], CancellationToken.None);
        Directory.Delete(folder, recursive: true);
    }

    private async Task StartAsync(CancellationToken cancellationToken)
    {
        await gate.WaitAsync(patience, cancellationToken);
        try
        {
            server ??= External ?? await StartClusterAsync(cancellationToken);
        }
        finally
        {
            gate.Release();
        }
    }

    private async Task<string> StartClusterAsync(CancellationToken cancellationToken)
    {
        RequireOne();
        var place = Directory.CreateTempSubdirectory("modelops-postgres-").FullName;
        var password = RandomNumberGenerator.GetHexString(32);
        var passwordFile = Path.Combine(place, "password");
        await File.WriteAllTextAsync(passwordFile, password, cancellationToken);
        if (Environment.UserName == "root")
        {
            asUser = ["runuser", "-u", "postgres", "--"]; // PostgreSQL refuses to run as root
            await RunAsync("chown", ["-R", "postgres", place], cancellationToken);
        }
        var data = Path.Combine(place, "data");
        await RunAsync(
            "initdb",
            ["-D", data, "-U", "modelops", "-A", "scram-sha-256", $"--pwfile={passwordFile}", "--no-sync", "-E", "UTF8", "--locale=C.UTF-8"],
            cancellationToken);
        for (var attempt = 1; ; attempt++)
        {
            var port = FreePort();
            try
            {
                await RunAsync(
                    "pg_ctl",
                    [
                        "-D", data, "-l", Path.Combine(place, "log"), "-w", "-t", "60", "-o",
                        $"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={place} -c fsync=off -c max_connections=600", "start",
                    ],
                    cancellationToken);
                folder = place;
                return $"Host=127.0.0.1;Port={port};Username=modelops;Password={password};Database=postgres";
            }
            catch (InvalidOperationException) when (attempt < 3)
            {
                // somebody took the port meanwhile
            }
        }
    }

    private async Task ExecuteAsync(string sql, CancellationToken cancellationToken)
    {
        await using var connection = new NpgsqlConnection(new NpgsqlConnectionStringBuilder(server) { Pooling = false }.ToString());
        await connection.OpenAsync(cancellationToken);
        await using var command = new NpgsqlCommand(sql, connection) { CommandTimeout = (int)patience.TotalSeconds };
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    private async Task RunAsync(string program, string[] arguments, CancellationToken cancellationToken)
    {
        string[] words = program == "chown" ? [program, .. arguments] : [.. asUser, Path.Combine(Programs()!, program), .. arguments];
        var start = new ProcessStartInfo(words[0], words[1..]) { UseShellExecute = false, WorkingDirectory = "/", RedirectStandardOutput = true };
        using var process = Process.Start(start)!;
        // pg_ctl's output ends with pg_ctl only when the server that it starts does not inherit it: hence its log file.
        await process.WaitForExitAsync(cancellationToken).WaitAsync(patience, cancellationToken);
        if (process.ExitCode != 0) throw new InvalidOperationException($"{string.Join(' ', words)} failed with {process.ExitCode}");
    }

    /// <summary>Debian keeps them outside the PATH; the newest version counts.</summary>
    private static string? Programs()
    {
        var debian = Directory.Exists("/usr/lib/postgresql")
            ? Directory.EnumerateDirectories("/usr/lib/postgresql").OrderByDescending(version => version.Length).ThenByDescending(version => version, StringComparer.Ordinal).Select(version => Path.Combine(version, "bin"))
            : [];
        return debian.Concat((Environment.GetEnvironmentVariable("PATH") ?? "").Split(':')).FirstOrDefault(place => File.Exists(Path.Combine(place, "initdb")));
    }

    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }
}
