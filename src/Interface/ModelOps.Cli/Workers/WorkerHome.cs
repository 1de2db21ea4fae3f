using System.Text.Json;
using ModelOps.Cli.Output;
using ModelOps.Cli.Serving;
using ModelOps.Client;

namespace ModelOps.Cli.Workers;

/// <summary>The folder of this machine's workers: the keys that their server trusts, caches, scratch space. One command at a time has it.</summary>
internal sealed class WorkerHome : IDisposable
{
    public const string ObjectStoreKind = Prefix + "KIND";
    private const string Prefix = "MODELOPS__OBJECTS__";
    private const string Section = "objects";
    private readonly FileStream lockFile;

    private WorkerHome(string folder, FileStream lockFile)
    {
        Folder = folder;
        this.lockFile = lockFile;
    }

    public string Folder { get; }

    private string Trusted => Path.Combine(Folder, "keys", "trusted");

    /// <exception cref="ModelOpsException">It is a server's, or another command has it.</exception>
    public static WorkerHome Open(Home home)
    {
        if (File.Exists(home.CredentialsFile))
        {
            throw CliProblems.Exception(
                ProblemTypes.Conflict, "Home of a server",
                $"{home.Folder} is the home folder of a server, which starts its own workers; give the worker another with --home.");
        }
        Directory.CreateDirectory(home.Folder, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        try
        {
            // The file that a server locks too.
            return new(home.Folder, new FileStream(Path.Combine(home.Folder, "server.lock"), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None));
        }
        catch (IOException exception)
        {
            throw new ModelOpsException(
                new Problem
                {
                    Type = ProblemTypes.Conflict,
                    Title = "Home in use",
                    Detail = $"Another 'modelops worker' or server runs on {home.Folder}; stop it, or give another --home.",
                },
                exception);
        }
    }

    /// <summary>The section <c>objects</c> of the folder's <c>modelops.json</c> as the variables that a worker reads; the environment's own go before.</summary>
    /// <exception cref="InvalidDataException">The file is not JSON.</exception>
    public IReadOnlyDictionary<string, string> ObjectStore(Func<string, string?> variable)
    {
        var variables = new Dictionary<string, string>(StringComparer.Ordinal);
        if (variable(ObjectStoreKind) is { } kind)
        {
            variables[ObjectStoreKind] = kind;
        }
        var file = Path.Combine(Folder, "modelops.json");
        if (!File.Exists(file))
        {
            return variables;
        }
        try
        {
            var options = new JsonDocumentOptions { CommentHandling = JsonCommentHandling.Skip, AllowTrailingCommas = true };
            using var document = JsonDocument.Parse(File.ReadAllBytes(file), options);
            if (document.RootElement.TryGetProperty(Section, out var section))
            {
                Add(Prefix[..^2], section);
            }
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            throw new InvalidDataException($"{file} is not valid JSON with sections: {exception.Message}", exception);
        }
        return variables;

        void Add(string name, JsonElement element)
        {
            switch (element.ValueKind)
            {
                case JsonValueKind.Object:
                    foreach (var property in element.EnumerateObject())
                    {
                        Add($"{name}__{property.Name.ToUpperInvariant()}", property.Value);
                    }
                    break;
                case JsonValueKind.Array:
                    foreach (var (index, item) in element.EnumerateArray().Index())
                    {
                        Add($"{name}__{index}", item);
                    }
                    break;
                case JsonValueKind.Null:
                    break;
                default:
                    variables[name] = variable(name) ?? element.ToString();
                    break;
            }
        }
    }

    /// <summary>Has in the folder the keys that the server trusts, with their revocations, and no others.</summary>
    public async Task TrustAsync(IReadOnlyList<SigningKeyInfo> keys, CancellationToken cancellationToken)
    {
        Directory.CreateDirectory(Trusted);
        var files = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var key in keys)
        {
            files[$"{key.KeyId}.pub"] = key.PublicKey;
            if (key.RevokedReason is { } reason)
            {
                var note = new KeyRevocation(reason, key.RevokedBy ?? "", key.RevokedAt ?? default);
                files[$"{key.KeyId}.revoked"] = JsonSerializer.Serialize(note, JsonOutput.Documents.KeyRevocation);
            }
        }
        // A revocation before its key: no moment believes a revoked one.
        foreach (var (name, content) in files.OrderByDescending(file => file.Key.EndsWith(".revoked", StringComparison.Ordinal)))
        {
            await WriteAsync(Path.GetFileName(name), content, cancellationToken);
        }
        foreach (var path in Directory.EnumerateFiles(Trusted).Where(path => !files.ContainsKey(Path.GetFileName(path))))
        {
            File.Delete(path);
        }
    }

    public void Dispose() => lockFile.Dispose();

    /// <summary>In one step, made outside the folder: the workers read whatever is in there.</summary>
    private async Task WriteAsync(string name, string content, CancellationToken cancellationToken)
    {
        var (path, draft) = (Path.Combine(Trusted, name), Path.Combine(Folder, "keys", $"{name}.new"));
        if (File.Exists(path) && await File.ReadAllTextAsync(path, cancellationToken) == content)
        {
            return;
        }
        await File.WriteAllTextAsync(draft, content, cancellationToken);
        File.Move(draft, path, overwrite: true);
    }
}

/// <summary>The file beside a key that is not believed any more.</summary>
internal sealed record KeyRevocation(string Reason, string By, DateTimeOffset At);
