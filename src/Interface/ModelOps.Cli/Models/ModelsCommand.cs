using System.CommandLine;
using ModelOps.Cli.Artifacts;
using ModelOps.Cli.Output;
using ModelOps.Client;

namespace ModelOps.Cli.Models;

/// <summary>Base models: artifacts of kind model in Hugging Face layout, and GGUF files that were imported.</summary>
internal static class ModelsCommand
{
    public const string Kind = "model";

    public static Command Create(CommandFactory cli) => CommandFactory.Group(
        "models", "Base models.", [Import(cli), List(cli), PullCommand.Create(cli), Show(cli)]);

    /// <summary>The name that a file or folder of the user gives, in the form that artifacts have: lower case, digits, dots and dashes.</summary>
    public static string NameOf(string path)
    {
        var stem = Path.GetFileNameWithoutExtension(Path.TrimEndingDirectorySeparator(Path.GetFullPath(path)));
        var characters = stem.ToLowerInvariant().Select(c => char.IsAsciiLetterOrDigit(c) || c is '.' or '-' ? c : '-');
        return string.Concat(characters).Trim('-', '.') is { Length: > 0 } name ? name : Kind;
    }

    /// <exception cref="ModelOpsException">The folder is not a model in Hugging Face layout; everything missing is named.</exception>
    public static void RequireModelFolder(string folder)
    {
        if (!Directory.Exists(folder))
        {
            throw new DirectoryNotFoundException($"The folder {Path.GetFullPath(folder)} does not exist.");
        }
        List<string> missing = [];
        if (!File.Exists(Path.Combine(folder, "config.json")))
        {
            missing.Add("config.json is missing");
        }
        if (!File.Exists(Path.Combine(folder, "tokenizer.json")) && !File.Exists(Path.Combine(folder, "tokenizer.model")))
        {
            missing.Add("tokenizer.json (or tokenizer.model) is missing");
        }
        if (!Directory.EnumerateFiles(folder, "*.safetensors").Any())
        {
            missing.Add("no *.safetensors file is in it");
        }
        if (missing.Count > 0)
        {
            throw CliProblems.Exception(
                CliProblems.LocalFile, "Not a model", $"{Path.GetFullPath(folder)} is not a model in Hugging Face layout:", missing);
        }
    }

    private static Command Import(CommandFactory cli)
    {
        var path = new Argument<string>("path") { Description = "Folder with config.json, tokenizer.json and *.safetensors, or a GGUF file" };
        var name = new Option<string?>("--name") { Description = "Name of the artifact [default: the folder's or file's]" };
        var license = new Option<string?>("--license") { Description = "Its licence, as SPDX has it, e.g. apache-2.0" };
        var source = new Option<string?>("--source") { Description = "Where it comes from, e.g. an address" };
        return cli.Command(
            "import", "Uploads a model folder, or a GGUF file to serve or quantize, and registers it, signed.",
            ["modelops models import ./my-model --name base --license apache-2.0", "modelops models import ./my-model-f16.gguf --source https://example.org/my-model"],
            [path, name, license, source],
            async (invocation, cancellationToken) =>
            {
                var (kind, artifactName, hash) = Found(invocation.Get(path));
                var artifact = await ArtifactPush.RunAsync(
                    invocation, invocation.Client, invocation.Get(name) ?? artifactName, kind, hash, invocation.Get(license), invocation.Get(source), cancellationToken);
                invocation.Write(artifact, JsonOutput.Wire.Artifact, _ => ArtifactViews.Show(invocation, artifact));
                return ExitCodes.Done;
            });
    }

    /// <summary>What stands at a path: its kind, the name that it gives, and how its files are hashed.</summary>
    private static (string Kind, string Name, Func<CancellationToken, Task<LocalFiles>> Hash) Found(string path)
    {
        if (GgufImport.IsGguf(path) && !Directory.Exists(path))
        {
            var files = GgufImport.FilesOf(path);
            var folder = Path.GetDirectoryName(Path.GetFullPath(path))!;
            return (GgufImport.Kind, NameOf(GgufImport.StemOf(path)), cancel => LocalFiles.HashFilesAsync(folder, files, cancel));
        }
        RequireModelFolder(path);
        return (Kind, NameOf(path), cancel => LocalFiles.HashFolderAsync(path, cancel));
    }

    private static Command List(CommandFactory cli) => cli.Command(
        "list", "Lists the base models.", ["modelops models list"], [],
        async (invocation, cancellationToken) =>
        {
            var models = await invocation.Client.Artifacts.ListAsync(Kind, cancellationToken);
            var imported = (await invocation.Client.Artifacts.ListAsync(GgufImport.Kind, cancellationToken)).Where(IsBase);
            models = [.. models, .. imported];
            invocation.Write(new Page<Artifact>(models), JsonOutput.Wire.PageArtifact, _ => ArtifactViews.List(
                invocation, models, "No model yet. Get one: modelops models pull hf:ORG/NAME, or modelops models import FOLDER"));
            return ExitCodes.Done;
        });

    private static Command Show(CommandFactory cli)
    {
        var model = new Argument<string>("model") { Description = "name or name@version" };
        return cli.Command(
            "show", "Shows a base model's files and origin.", ["modelops models show wordsmith"], [model],
            async (invocation, cancellationToken) =>
            {
                var artifact = await invocation.Client.Artifacts.GetAsync(invocation.Get(model), cancellationToken);
                if (artifact.Kind != Kind && !IsBase(artifact))
                {
                    throw CliProblems.Exception(
                        ProblemTypes.NotFound, "Not a model",
                        $"{artifact.Reference} is of kind {artifact.Kind}, not a base model; see 'modelops artifacts show {artifact.Reference}'.");
                }
                invocation.Write(artifact, JsonOutput.Wire.Artifact, _ => ArtifactViews.Show(invocation, artifact));
                return ExitCodes.Done;
            });
    }

    /// <summary>A GGUF file that was imported: what is quantized here has a parent.</summary>
    private static bool IsBase(Artifact artifact) => artifact.Kind == GgufImport.Kind && artifact.Parents.Count == 0;
}
