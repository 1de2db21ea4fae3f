using System.CommandLine;
using ModelOps.Cli.Artifacts;
using ModelOps.Cli.Output;
using ModelOps.Client;

namespace ModelOps.Cli.Models;

/// <summary>Base models: artifacts of kind model in Hugging Face layout.</summary>
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
        var folder = new Argument<string>("folder") { Description = "Folder with config.json, tokenizer.json and *.safetensors" };
        var name = new Option<string?>("--name") { Description = "Name of the artifact [default: the folder's]" };
        var license = new Option<string?>("--license") { Description = "Its licence, as SPDX has it, e.g. apache-2.0" };
        var source = new Option<string?>("--source") { Description = "Where it comes from, e.g. an address" };
        return cli.Command(
            "import", "Uploads a model folder and registers it, signed.",
            ["modelops models import ./my-model", "modelops models import ./my-model --name base --license apache-2.0"],
            [folder, name, license, source],
            async (invocation, cancellationToken) =>
            {
                RequireModelFolder(invocation.Get(folder));
                var artifact = await ArtifactPush.RunAsync(
                    invocation, invocation.Client, invocation.Get(name) ?? NameOf(invocation.Get(folder)), Kind, invocation.Get(folder),
                    invocation.Get(license), invocation.Get(source), cancellationToken);
                invocation.Write(artifact, JsonOutput.Wire.Artifact, _ => ArtifactViews.Show(invocation, artifact));
                return ExitCodes.Done;
            });
    }

    private static Command List(CommandFactory cli) => cli.Command(
        "list", "Lists the base models.", ["modelops models list"], [],
        async (invocation, cancellationToken) =>
        {
            var models = await invocation.Client.Artifacts.ListAsync(Kind, cancellationToken);
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
                if (artifact.Kind != Kind)
                {
                    throw CliProblems.Exception(
                        ProblemTypes.NotFound, "Not a model",
                        $"{artifact.Reference} is of kind {artifact.Kind}, not a base model; see 'modelops artifacts show {artifact.Reference}'.");
                }
                invocation.Write(artifact, JsonOutput.Wire.Artifact, _ => ArtifactViews.Show(invocation, artifact));
                return ExitCodes.Done;
            });
    }
}
