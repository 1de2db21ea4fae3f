using System.Text.Json;
using System.Text.Json.Serialization;
using ModelOps.Registry;

namespace ModelOps.Server.Hosting;

/// <summary>What the CLI on this machine reads to reach the server: mode 0600, rewritten at each start.</summary>
/// <param name="Ca">Path of the CA certificate to trust, relative to the home folder.</param>
public sealed record Credentials(string Server, string ApiKey, string Ca);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, WriteIndented = true)]
[JsonSerializable(typeof(Credentials))]
internal sealed partial class CredentialsJson : JsonSerializerContext;

/// <summary>Keeps the local administrator's key across starts, and makes it at the first.</summary>
public static class LocalCredentials
{
    public static async Task WriteAsync(ServerHome home, string address, ApiKeys keys, CancellationToken cancellationToken)
    {
        var secret = await ExistingAsync(home, keys, cancellationToken)
            ?? (await keys.CreateAsync("local-admin", Roles.Admin, cancellationToken: cancellationToken)).Secret;
        var json = JsonSerializer.SerializeToUtf8Bytes(new Credentials(address, secret, "certs/ca.crt"), CredentialsJson.Default.Credentials);
        var temporary = home.Credentials + ".new";
        await using (var file = new FileStream(temporary, new FileStreamOptions
        {
            Mode = FileMode.Create,
            Access = FileAccess.Write,
            UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite,
        }))
        {
            await file.WriteAsync(json, cancellationToken);
            RandomAccess.FlushToDisk(file.SafeFileHandle);
        }
        File.Move(temporary, home.Credentials, overwrite: true);
    }

    private static async Task<string?> ExistingAsync(ServerHome home, ApiKeys keys, CancellationToken cancellationToken)
    {
        if (!File.Exists(home.Credentials)) return null;
        try
        {
            await using var file = File.OpenRead(home.Credentials);
            var existing = await JsonSerializer.DeserializeAsync(file, CredentialsJson.Default.Credentials, cancellationToken);
            return existing is not null && await keys.AuthenticateAsync(existing.ApiKey, cancellationToken) is not null ? existing.ApiKey : null;
        }
        catch (JsonException)
        {
            return null; // a torn or foreign file is replaced, like a missing one
        }
    }
}
