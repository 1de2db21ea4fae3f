using ModelOps.Cli.Output;
using ModelOps.Client;

namespace ModelOps.Cli.Serving;

/// <summary>Where the parts of ModelOps lie around the command line, in the build's layout and in the published one.</summary>
internal sealed class Installation(CliHost host)
{
    private const string BuildServer = "../../ModelOps.Server/release/ModelOps.Server";
    private const string PublishedServer = "../server/ModelOps.Server";
    private const string BuildWorker = "../../ModelOps.Worker/release/ModelOps.Worker";
    private const string PublishedWorker = "../worker/ModelOps.Worker";

    /// <summary>Null when it is not installed.</summary>
    public string? Server => FirstFile(host.Variable("MODELOPS_SERVER_PATH"), BuildServer, PublishedServer);

    /// <summary>Null when it is not installed.</summary>
    public string? Worker => FirstFile(null, BuildWorker, PublishedWorker);

    /// <summary>Folder of the bundled samples; null when there is none.</summary>
    public string? Samples
    {
        get
        {
            if (host.Variable("MODELOPS_SAMPLES") is { } named)
            {
                return Directory.Exists(named) ? Path.GetFullPath(named) : null;
            }
            for (var folder = new DirectoryInfo(host.ProgramFolder); folder is not null; folder = folder.Parent)
            {
                var samples = Path.Combine(folder.FullName, "samples");
                if (Directory.Exists(Path.Combine(samples, "models")))
                {
                    return samples;
                }
            }
            return null;
        }
    }

    /// <exception cref="ModelOpsException">It is not installed.</exception>
    public string RequireServer() => Server ?? throw CliProblems.Exception(
        ProblemTypes.NotFound, "Server not installed",
        host.Variable("MODELOPS_SERVER_PATH") is { } named
            ? $"The server is not at {named}, which MODELOPS_SERVER_PATH names; correct or unset it."
            : $"The server is not beside the command line ({Full(BuildServer)} or {Full(PublishedServer)}); build it, or name it in MODELOPS_SERVER_PATH.");

    /// <exception cref="ModelOpsException">It is not installed.</exception>
    public string RequireWorker() => Worker ?? throw CliProblems.Exception(
        ProblemTypes.NotFound, "Worker not installed",
        $"The worker program is not beside the command line ({Full(BuildWorker)} or {Full(PublishedWorker)}); build it.");

    /// <exception cref="ModelOpsException">The samples are not installed.</exception>
    public string RequireSample(string path)
    {
        var sample = Samples is { } samples ? Path.Combine(samples, path) : null;
        return Path.Exists(sample) ? sample : throw CliProblems.Exception(
            ProblemTypes.NotFound, "Sample not installed",
            $"The bundled sample {path} is not found around {host.ProgramFolder}; name the samples folder in MODELOPS_SAMPLES, "
            + "or use your own with --data and --base.");
    }

    private string? FirstFile(string? named, params string[] relative) =>
        named is not null ? (File.Exists(named) ? Path.GetFullPath(named) : null) : relative.Select(Full).FirstOrDefault(File.Exists);

    private string Full(string relative) => Path.GetFullPath(relative, host.ProgramFolder);
}
