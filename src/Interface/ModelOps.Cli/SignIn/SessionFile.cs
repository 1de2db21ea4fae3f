using System.Text.Json;
using ModelOps.Cli.Output;
using ModelOps.Cli.Serving;
using ModelOps.Client;

namespace ModelOps.Cli.SignIn;

/// <summary>A session of a server, as <c>login</c> stored it.</summary>
/// <param name="Ca">Absolute path of the authority to trust; null trusts the system's.</param>
internal sealed record StoredSession(string Server, string User, string AccessToken, DateTimeOffset ExpiresAt, string RefreshToken, string? Ca);

/// <param name="Current">The server that commands talk to when none is named.</param>
internal sealed record StoredSessions(string? Current, IReadOnlyList<StoredSession> Sessions);

/// <summary>
/// <c>sessions.json</c> of the home folder: mode 0600, replaced as a whole. A lock file lets one process at a time change it: a refresh
/// token that two commands spend at once would end the session.
/// </summary>
internal sealed class SessionFile(Home home, TimeProvider time)
{
    private static readonly TimeSpan lockPoll = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan renewBefore = TimeSpan.FromMinutes(1);

    private string FilePath => Path.Combine(home.Folder, "sessions.json");

    /// <param name="server">Null: the one signed in to last.</param>
    public StoredSession? Find(Uri? server)
    {
        var stored = Read();
        var wanted = server is null ? stored.Current : OriginOf(server);
        return stored.Sessions.FirstOrDefault(session => session.Server == wanted);
    }

    public Task StoreAsync(StoredSession session, CancellationToken cancellationToken) => ChangeAsync(
        stored => new StoredSessions(session.Server, [.. stored.Sessions.Where(other => other.Server != session.Server), session]), cancellationToken);

    public Task RemoveAsync(string server, CancellationToken cancellationToken) => ChangeAsync(
        stored => new StoredSessions(
            stored.Current == server ? null : stored.Current, [.. stored.Sessions.Where(other => other.Server != server)]),
        cancellationToken);

    /// <summary>The access token of a session, renewed when it ends within a minute.</summary>
    /// <exception cref="ModelOpsException">The session is over.</exception>
    public async ValueTask<string?> AccessTokenAsync(string server, CancellationToken cancellationToken)
    {
        if (Current(server) is { } fresh && fresh.ExpiresAt - time.GetUtcNow() > renewBefore)
        {
            return fresh.AccessToken;
        }
        using var only = await LockAsync(cancellationToken);
        var session = Current(server) ?? throw Over(server); // another command may have renewed or ended it meanwhile
        if (session.ExpiresAt - time.GetUtcNow() > renewBefore)
        {
            return session.AccessToken;
        }
        using var client = new ModelOpsClient(new Uri(server), apiKey: null, session.Ca);
        try
        {
            var tokens = await client.Auth.RefreshAsync(session.RefreshToken, cancellationToken);
            var renewed = ToStored(tokens, server, session.Ca, time);
            var stored = Read();
            Write(stored with { Sessions = [.. stored.Sessions.Where(other => other.Server != server), renewed] });
            return renewed.AccessToken;
        }
        catch (ModelOpsException exception) when (exception.Problem.Type == ProblemTypes.Unauthorized)
        {
            throw Over(server, exception.Problem.Detail);
        }
    }

    public static StoredSession ToStored(SessionTokens tokens, string server, string? ca, TimeProvider time) => new(
        server, tokens.User, tokens.AccessToken, time.GetUtcNow().AddSeconds(tokens.ExpiresIn), tokens.RefreshToken, ca);

    public static string OriginOf(Uri server) => server.GetLeftPart(UriPartial.Authority).ToLowerInvariant();

    private StoredSession? Current(string server) => Read().Sessions.FirstOrDefault(session => session.Server == server);

    private static ModelOpsException Over(string server, string? reason = null) => CliProblems.Exception(
        ProblemTypes.Unauthorized, "Not signed in", $"{reason ?? $"The session with {server} is over."} Sign in: modelops login --server {server}");

    private async Task ChangeAsync(Func<StoredSessions, StoredSessions> change, CancellationToken cancellationToken)
    {
        using var only = await LockAsync(cancellationToken);
        Write(change(Read()));
    }

    private StoredSessions Read()
    {
        if (!File.Exists(FilePath))
        {
            return new StoredSessions(null, []);
        }
        try
        {
            return JsonSerializer.Deserialize(File.ReadAllBytes(FilePath), CliJson.Default.StoredSessions) ?? throw new JsonException("It is null.");
        }
        catch (JsonException exception)
        {
            throw new InvalidDataException($"{FilePath} is damaged; remove it and sign in again.", exception);
        }
    }

    private void Write(StoredSessions sessions)
    {
        var temporary = $"{FilePath}.new";
        File.Delete(temporary); // a left-over keeps the mode that it has
        var options = new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write };
        if (!OperatingSystem.IsWindows())
        {
            options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        }
        using (var file = new FileStream(temporary, options))
        {
            JsonSerializer.Serialize(file, sessions, JsonOutput.Documents.StoredSessions);
            file.Flush(flushToDisk: true);
        }
        File.Move(temporary, FilePath, overwrite: true);
    }

    /// <summary>The kernel frees it when the process ends, however it ends.</summary>
    private async Task<FileStream> LockAsync(CancellationToken cancellationToken)
    {
        if (OperatingSystem.IsWindows())
        {
            Directory.CreateDirectory(home.Folder);
        }
        else
        {
            Directory.CreateDirectory(home.Folder, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        }
        var path = $"{FilePath}.lock";
        while (true)
        {
            try
            {
                return new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
            }
            catch (IOException) when (File.Exists(path))
            {
                await Task.Delay(lockPoll, time, cancellationToken);
            }
        }
    }
}
