using ModelOps.Cli.Output;

namespace ModelOps.Cli.Quickstart;

/// <param name="Base">As it was given, null: the bundled one.</param>
/// <param name="Data">As it was given, null: the bundled rows.</param>
/// <param name="Home">As a flag, with a space before it; empty where it is the one that commands take anyway.</param>
internal sealed record QuickstartRequest(string? Base, string? Data, int? MaxSteps, bool Unbounded, string Home)
{
    /// <summary>What runs the same again.</summary>
    public string Command => string.Concat(
        (string[])[
            "modelops quickstart",
            .. Data is null ? (string[])[] : [" --data ", Shell.Quoted(Data)],
            .. Base is null ? (string[])[] : [" --base ", Shell.Quoted(Base)],
            .. MaxSteps is null ? (string[])[] : [$" --max-steps {MaxSteps}"],
            .. Unbounded ? (string[])[" --unbounded"] : [],
            Home,
        ]);
}
