using System.Globalization;
using ModelOps.Workflows;

namespace ModelOps.Worker.Hosting;

/// <summary>What the server tells a worker process on its command line.</summary>
public sealed record WorkerOptions
{
    public required WorkerRole Role { get; init; }

    /// <summary>Number of this process within its role: no two at once have the same.</summary>
    public required int Instance { get; init; }

    /// <summary>The home folder: trusted keys, cache, and objects and tables where they are files.</summary>
    public required string Home { get; init; }

    /// <summary>Path of the Unix socket to listen on.</summary>
    public required string Socket { get; init; }

    /// <summary>Threads for arithmetic.</summary>
    public required int Threads { get; init; }

    /// <summary>Bytes that the models of an inference worker may take together.</summary>
    /// <value>The default is no limit.</value>
    public long ModelMemory { get; init; } = long.MaxValue;

    /// <summary>Which worker this is, for people: <c>training 4711@machine</c>.</summary>
    public string Identity => WorkerIdentity.Of(Role, Environment.ProcessId);

    /// <summary>Verified artifacts laid out as folders; rebuilt when deleted.</summary>
    public string Cache => Path.Combine(Home, "cache", "artifacts");

    /// <summary>Algorithm plugins, each <c>NAME/NAME.dll</c>.</summary>
    public string Plugins => Path.Combine(Home, "plugins");

    /// <summary>What this instance has verified, so that a restart does not read it all again.</summary>
    public string VerifiedFiles => Path.Combine(Home, "cache", $"verified-{Role.Name()}-{Instance}.txt");

    /// <summary>Scratch space of this process; emptied at start.</summary>
    public string Scratch => Path.Combine(Home, "tmp", $"worker-{Role.Name()}-{Instance}");

    public static WorkerOptions? Parse(string[] args, out IReadOnlyList<string> errors)
    {
        var faults = new List<string>();
        var values = new Dictionary<string, string>(StringComparer.Ordinal);
        for (var i = 0; i + 1 < args.Length; i += 2) values[args[i]] = args[i + 1];
        string Required(string name)
        {
            if (values.TryGetValue(name, out var value)) return value;
            faults.Add($"{name} is missing");
            return "";
        }
        var (home, socket) = (Required("--home"), Required("--socket"));
        if (!Enum.TryParse<WorkerRole>(Required("--role"), ignoreCase: true, out var role) || role == WorkerRole.Control)
            faults.Add("--role must be data, training, quantization, evaluation or inference");
        if (!int.TryParse(Required("--instance"), out var instance) || instance < 1) faults.Add("--instance must be a whole number above 0");
        if (!int.TryParse(Required("--threads"), out var threads) || threads < 1) faults.Add("--threads must be a whole number above 0");
        var memory = long.MaxValue;
        if (values.TryGetValue("--model-memory", out var bytes) && (!long.TryParse(bytes, CultureInfo.InvariantCulture, out memory) || memory < 1))
            faults.Add("--model-memory must be a whole number of bytes above 0");
        errors = faults;
        return faults.Count > 0 ? null : new WorkerOptions
        {
            Role = role,
            Instance = instance,
            Home = Path.GetFullPath(home),
            Socket = socket,
            Threads = threads,
            ModelMemory = memory,
        };
    }
}
