using System.Text.Json;
using ModelOps.Cli.Output;

namespace ModelOps.Cli.Serving;

/// <summary>The folder of a server's data, where it leaves the credentials that the command line uses.</summary>
/// <param name="Folder">Absolute.</param>
internal sealed record Home(string Folder)
{
    public string CredentialsFile => Path.Combine(Folder, "credentials.json");

    public string ServerLog => Path.Combine(Folder, "logs", "quickstart-server.log");

    public static Home Resolve(string? option, Func<string, string?> variable) => new(Path.GetFullPath(
        option ?? variable("MODELOPS_HOME")
        ?? Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".modelops")));

    /// <summary>Null when no server has ever listened for this home.</summary>
    /// <exception cref="InvalidDataException">The file is damaged.</exception>
    public Credentials? ReadCredentials()
    {
        if (!File.Exists(CredentialsFile))
        {
            return null;
        }
        try
        {
            if (JsonSerializer.Deserialize(File.ReadAllBytes(CredentialsFile), CliJson.Default.Credentials) is { } credentials
                && Uri.TryCreate(credentials.Server, UriKind.Absolute, out _))
            {
                return credentials;
            }
        }
        catch (JsonException)
        {
            // Said below, together with a file that is JSON but not credentials.
        }
        throw new InvalidDataException($"{CredentialsFile} is damaged; start the server ('modelops serve') and it is written anew.");
    }

    public string CaPath(Credentials credentials) => Path.Combine(Folder, credentials.Ca);
}

/// <summary><c>credentials.json</c>, written by the server once it listens.</summary>
/// <param name="Ca">PEM of the local authority, relative to the home folder.</param>
internal sealed record Credentials(string Server, string ApiKey, string Ca);
