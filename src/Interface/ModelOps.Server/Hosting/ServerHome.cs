namespace ModelOps.Server.Hosting;

/// <summary>The home folder: everything one machine's platform keeps. Folders are made with mode 0700.</summary>
public sealed class ServerHome : IDisposable
{
    private readonly FileStream lockFile;

    private ServerHome(string root, FileStream lockFile)
    {
        Root = root;
        this.lockFile = lockFile;
    }

    public string Root { get; }
    public string Objects => Path.Combine(Root, "objects");
    public string Tables => Path.Combine(Root, "tables");
    public string Keys => Path.Combine(Root, "keys");
    public string Plugins => Path.Combine(Root, "plugins");
    public string Certificates => Path.Combine(Root, "certs");
    public string Database => Path.Combine(Root, "metadata.db");
    /// <summary>What the workflows' own service keeps.</summary>
    public string Workflows => Path.Combine(Root, "workflows.db");
    /// <summary>Tells that service from those of other servers.</summary>
    public string WorkflowsId => Path.Combine(Root, "workflows.id");
    /// <summary>The spans of the last days; nothing else depends on it.</summary>
    public string Traces => Path.Combine(Root, "traces.db");
    public string Authority => Path.Combine(Certificates, "ca.crt");
    public string Credentials => Path.Combine(Root, "credentials.json");

    /// <exception cref="ServerStartException">The folder cannot be written, or another server runs on it.</exception>
    public static ServerHome Open(string root)
    {
        try
        {
            const UnixFileMode ownerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;
            Directory.CreateDirectory(root, ownerOnly);
            foreach (var folder in new[] { "objects", "tables", "keys", "certs", "logs" })
                Directory.CreateDirectory(Path.Combine(root, folder), ownerOnly);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new ServerStartException($"the home folder {root} cannot be made: {e.Message}", e);
        }
        try
        {
            return new ServerHome(root, new FileStream(Path.Combine(root, "server.lock"), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None));
        }
        catch (IOException e)
        {
            throw new ServerStartException(
                $"another server runs on the home folder {root}; stop it, or choose another folder with --home or MODELOPS_HOME", e)
            {
                ExitCode = ServerStartException.Conflict,
            };
        }
    }

    public void Dispose() => lockFile.Dispose();
}

/// <summary>The server cannot start, for a reason that its user can mend.</summary>
public sealed class ServerStartException(string message, Exception? cause = null) : Exception(message, cause)
{
    /// <summary>It contradicts what is there.</summary>
    public const int Conflict = 5;

    /// <summary>What the process ends with, as docs/cli.md has it.</summary>
    /// <value>The default is 1.</value>
    public int ExitCode { get; init; } = 1;
}
