using System.CommandLine;
using System.Text.Json.Serialization.Metadata;
using ModelOps.Cli;
using ModelOps.Cli.Output;
using ModelOps.Client;

namespace ModelOps.Tests.Cli;

/// <summary>The document that each command writes with <c>--json</c>: its schema is in docs/cli.</summary>
internal static class CliDocuments
{
    private static readonly WireJson Wire = JsonOutput.Wire;

    /// <summary>By the command's path. Null: it has no document of one shape.</summary>
    public static IReadOnlyDictionary<string, JsonTypeInfo?> All { get; } = new SortedDictionary<string, JsonTypeInfo?>(StringComparer.Ordinal)
    {
        ["artifacts alias list"] = Wire.PageAlias,
        ["artifacts alias remove"] = Wire.PageAlias,
        ["artifacts alias set"] = Wire.Artifact,
        ["artifacts approve"] = Wire.Artifact,
        ["artifacts archive"] = Wire.Artifact,
        ["artifacts export"] = Wire.PackagedArtifact,
        ["artifacts import"] = Wire.ImportResult,
        ["artifacts lineage"] = Wire.LineageGraph,
        ["artifacts list"] = Wire.PageArtifact,
        ["artifacts promote"] = Wire.Artifact,
        ["artifacts prune"] = Wire.RetentionRun,
        ["artifacts push"] = Wire.Artifact,
        ["artifacts reject"] = Wire.Artifact,
        ["artifacts revoke"] = Wire.Artifact,
        ["artifacts rm"] = Wire.Artifact,
        ["artifacts show"] = Wire.Artifact,
        ["artifacts verify"] = Wire.Verification,
        ["audit list"] = Wire.PageAuditEntry,
        ["audit verify"] = Wire.AuditReport,
        ["backup"] = Wire.BackupFile,
        ["chat"] = JsonOutput.Documents.ChatReport,
        ["config show"] = Wire.PageConfiguredValue,
        ["datasets create"] = Wire.Job,
        ["datasets diff"] = Wire.DatasetDiff,
        ["datasets history"] = Wire.PageDatasetHistoryEntry,
        ["datasets list"] = Wire.PageDataset,
        ["datasets preview"] = Wire.DatasetPreview,
        ["datasets query"] = Wire.QueryResult,
        ["datasets show"] = Wire.Dataset,
        ["deploy"] = Wire.Deployment,
        ["deployments adapters add"] = Wire.DeployedAdapter,
        ["deployments adapters list"] = Wire.PageDeployedAdapter,
        ["deployments adapters remove"] = Wire.PageDeployedAdapter,
        ["deployments list"] = Wire.PageDeployment,
        ["deployments show"] = Wire.Deployment,
        ["deployments stop"] = Wire.Deployment,
        ["doctor"] = JsonOutput.Documents.DoctorReport,
        ["eval"] = Wire.Job,
        ["jobs cancel"] = Wire.Job,
        ["jobs list"] = Wire.PageJob,
        ["jobs logs"] = Wire.PageJobLogEntry,
        ["jobs pause"] = Wire.Job,
        ["jobs resume"] = Wire.Job,
        ["jobs retry"] = Wire.Job,
        ["jobs samples"] = Wire.PageJobSample,
        ["jobs show"] = Wire.Job,
        ["jobs watch"] = Wire.Job,
        ["keys create"] = Wire.CreatedApiKey,
        ["keys list"] = Wire.PageApiKey,
        ["keys revoke"] = Wire.ApiKey,
        ["login"] = JsonOutput.Documents.SignedIn,
        ["logout"] = JsonOutput.Documents.SignedOut,
        ["models import"] = Wire.Artifact,
        ["models list"] = Wire.PageArtifact,
        ["models pull"] = Wire.Artifact,
        ["models show"] = Wire.Artifact,
        ["quantize"] = Wire.Job,
        ["quickstart"] = JsonOutput.Documents.QuickstartReport,
        ["restore"] = Wire.RestoreReport,
        ["serve"] = null,
        ["signing list"] = Wire.PageSigningKeyInfo,
        ["signing revoke"] = Wire.SigningKeyInfo,
        ["signing rotate"] = Wire.SigningKeyInfo,
        ["signing show"] = Wire.SigningKeyInfo,
        ["signing trust"] = Wire.SigningKeyInfo,
        ["tables history"] = JsonOutput.Documents.TableHistory,
        ["tables rows"] = null, // a line a row, of whatever columns the table has
        ["tables show"] = JsonOutput.Documents.TableSummary,
        ["train pretrain"] = Wire.Job,
        ["train sft"] = Wire.Job,
        ["users add"] = Wire.User,
        ["users change-password"] = Wire.WhoAmI,
        ["users disable"] = Wire.User,
        ["users enable"] = Wire.User,
        ["users list"] = Wire.PageUser,
        ["users remove"] = Wire.User,
        ["users reset-password"] = Wire.User,
        ["users set-role"] = Wire.User,
        ["users show"] = Wire.User,
        ["whoami"] = Wire.WhoAmI,
        ["worker"] = null,
        ["workers list"] = Wire.PageWorker,
    };

    /// <summary>Commands that do something, by path; groups only hold them.</summary>
    public static IEnumerable<(string Path, Command Command)> Leaves() =>
        Commands().Where(command => command.Command.Subcommands.Count == 0);

    public static IEnumerable<(string Path, Command Command)> Commands() => Below(CommandTree.Create(CliHost.OfProcess()), "");

    private static IEnumerable<(string Path, Command Command)> Below(Command command, string path) =>
        command.Subcommands.SelectMany(child => Below(child, $"{path} {child.Name}".Trim()).Prepend(($"{path} {child.Name}".Trim(), child)));
}
