using System.CommandLine;

namespace ModelOps.Cli;

/// <summary>The options that every command has.</summary>
internal sealed class GlobalOptions
{
    public Option<bool> Json { get; } = new("--json")
    {
        Description = "One JSON document on stdout and nothing else; an error is a problem document on stderr.",
        Recursive = true,
    };

    public Option<string?> Home { get; } = new("--home")
    {
        Description = "Folder of the server's data and credentials [default: MODELOPS_HOME or ~/.modelops]",
        HelpName = "DIR",
        Recursive = true,
    };

    public Option<Uri?> Server { get; } = new("--server")
    {
        Description = "Address of the server [default: the one in the home folder's credentials.json]",
        HelpName = "URL",
        Recursive = true,
        CustomParser = result =>
        {
            var text = result.Tokens.Single().Value;
            if (Uri.TryCreate(text, UriKind.Absolute, out var server) && server.Scheme is "https" or "http")
            {
                return server;
            }
            result.AddError($"--server '{text}' is not an address; write it like https://127.0.0.1:8000.");
            return null;
        },
    };

    public Option<string?> ApiKey { get; } = new("--api-key")
    {
        Description = "Key that starts with mo_ [default: MODELOPS_API_KEY, or the home folder's credentials.json]",
        HelpName = "KEY",
        Recursive = true,
    };

    public void AddTo(RootCommand root)
    {
        root.Options.Add(Json);
        root.Options.Add(Home);
        root.Options.Add(Server);
        root.Options.Add(ApiKey);
    }
}
