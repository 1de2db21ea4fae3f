using System.CommandLine;
using System.CommandLine.Help;
using System.Text;
using System.Text.Json;
using ModelOps.Cli;
using ModelOps.Client;

namespace ModelOps.Tests.Cli;

public sealed class CommandLineTests
{
    private static readonly CliHost Host = CliHost.OfProcess();

    public static TheoryData<string> Commands { get; } = [.. All(CommandTree.Create(Host)).Select(command => command.Path)];

    [Fact]
    public void Flags_AllCommands_AreTheFrozenOnes()
    {
        var flags = new StringBuilder();
        foreach (var (path, command) in All(CommandTree.Create(Host)))
        {
            flags.Append(path.Length == 0 ? "modelops" : path);
            foreach (var argument in command.Arguments)
            {
                flags.Append($" <{argument.Name}>");
            }
            foreach (var option in command.Options.Where(option => option is not (HelpOption or VersionOption)))
            {
                flags.Append(option.Required ? $" {option.Name}!" : $" {option.Name}");
            }
            flags.Append('\n');
        }

        var frozen = File.ReadAllText(Path.Combine(AppContext.BaseDirectory, "Cli", "flags.txt"));

        Assert.Equal(frozen, flags.ToString());
    }

    [Theory(Timeout = 30_000)]
    [MemberData(nameof(Commands))]
    public async Task Help_EachCommand_EndsWithExamplesAndCodeZero(string path)
    {
        var run = await CliRun.Of([.. path.Split(' ', StringSplitOptions.RemoveEmptyEntries), "--help"], cancellationToken: TestContext.Current.CancellationToken);

        Assert.Equal(ExitCodes.Done, run.Code);
        Assert.Matches("Examples:\n  modelops ", run.Out);
        Assert.Empty(run.Error);
    }

    [Fact]
    public void Examples_EachCommand_ParseWithoutError()
    {
        var root = CommandTree.Create(Host);
        var examples = All(root)
            .SelectMany(command => command.Command is ModelOps.Cli.Help.ExampleCommand example ? example.Examples : CommandTree.RootExamples)
            .Select(example => example.Split(" > ")[0].Split(" < ")[0]["modelops ".Length..]);

        Assert.All(examples, example => Assert.Empty(root.Parse(example).Errors));
    }

    [Fact(Timeout = 30_000)]
    public async Task Run_SeveralFaultsInTheCommandLine_SaysAllAndGivesCode2()
    {
        var run = await CliRun.Of(["train", "sft", "--base", "b", "--epochs", "0", "--learning-rate", "-1"], cancellationToken: TestContext.Current.CancellationToken);

        Assert.Equal(ExitCodes.Usage, run.Code);
        Assert.Empty(run.Out);
        Assert.Contains("modelops train sft --help", run.Error, StringComparison.Ordinal);
        Assert.All(
            ["'--dataset'", "'--name'", "--epochs must be", "--learning-rate must be"],
            fault => Assert.Contains(fault, run.Error, StringComparison.Ordinal));
    }

    [Fact(Timeout = 30_000)]
    public async Task Run_UsageFaultWithJson_IsOneProblemOnStderr()
    {
        var run = await CliRun.Of(["jobs", "show", "--json"], cancellationToken: TestContext.Current.CancellationToken);

        Assert.Equal(ExitCodes.Usage, run.Code);
        Assert.Empty(run.Out);
        Assert.Equal(ProblemTypes.Invalid, JsonSerializer.Deserialize(run.Error, WireJson.Default.Problem)!.Type);
    }

    [Theory(Timeout = 30_000)]
    [InlineData("--server", "127.0.0.1")]
    [InlineData("--server", "ftp://host")]
    public async Task Run_ServerIsNoAddress_GivesCode2(string option, string value)
    {
        var run = await CliRun.Of(["jobs", "list", option, value], cancellationToken: TestContext.Current.CancellationToken);

        Assert.Equal(ExitCodes.Usage, run.Code);
        Assert.Contains("https://127.0.0.1:8000", run.Error, StringComparison.Ordinal);
    }

    private static IEnumerable<(string Path, Command Command)> All(Command command, string path = "")
    {
        yield return (path, command);
        foreach (var inner in command.Subcommands.SelectMany(child => All(child, $"{path} {child.Name}".Trim())))
        {
            yield return inner;
        }
    }
}
