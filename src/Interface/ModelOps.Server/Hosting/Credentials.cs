using System.Security.Cryptography;
using System.Text.Json;
using System.Text.Json.Serialization;
using ModelOps.Registry;
using ModelOps.Server.Security;

namespace ModelOps.Server.Hosting;

/// <summary>What the CLI on this machine reads to reach the server: mode 0600, rewritten at each start.</summary>
/// <param name="Ca">Path of the CA certificate to trust, relative to the home folder.</param>
/// <param name="InitialPassword">Of the user <c>admin</c>; gone after its first change.</param>
public sealed record Credentials(string Server, string ApiKey, string Ca, string? InitialPassword = null);

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    WriteIndented = true)]
[JsonSerializable(typeof(Credentials))]
internal sealed partial class CredentialsJson : JsonSerializerContext;

/// <summary>Makes the first administrator, and keeps the local command line's key across starts.</summary>
public static class LocalCredentials
{
    /// <summary>The administrator of the first start.</summary>
    public const string FirstUser = "admin";
    private const string keyName = "local-admin";
    private const string actor = "server";
    private const int passwordLength = 24;
    private const string passwordLetters = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789"; // none that look alike
    private static readonly SemaphoreSlim gate = new(1);

    public static async Task WriteAsync(
        ServerHome home, string address, Users users, ApiKeys keys, Passwords passwords, CancellationToken cancellationToken)
    {
        await gate.WaitAsync(cancellationToken);
        try
        {
            var existing = await ReadAsync(home, cancellationToken);
            var password = existing?.InitialPassword;
            if ((await users.ListAsync(cancellationToken)).Count == 0)
            {
                password = RandomNumberGenerator.GetString(passwordLetters, passwordLength);
                await users.AddAsync(FirstUser, Roles.Admin, passwords.Hash(password), actor, cancellationToken);
            }
            else if (await users.FindAsync(FirstUser, cancellationToken) is not { PasswordChangedAt: null })
            {
                password = null; // the server ended between the change and its removal from the file
            }
            var usable = existing is not null && await keys.AuthenticateAsync(existing.ApiKey, cancellationToken) is not null;
            var secret = usable ? existing!.ApiKey : await NewKeyAsync(users, keys, cancellationToken);
            await WriteAsync(home, new Credentials(address, secret, "certs/ca.crt", password), cancellationToken);
        }
        finally
        {
            gate.Release();
        }
    }

    /// <summary>The first password was changed: the file need not hold it any longer.</summary>
    public static async Task ForgetPasswordAsync(ServerHome home, CancellationToken cancellationToken)
    {
        await gate.WaitAsync(cancellationToken);
        try
        {
            if (await ReadAsync(home, cancellationToken) is { InitialPassword: not null } credentials)
                await WriteAsync(home, credentials with { InitialPassword = null }, cancellationToken);
        }
        finally
        {
            gate.Release();
        }
    }

    /// <summary>Its key was lost, revoked or its owner disabled. Who can write the home folder owns the server anyway.</summary>
    private static async Task<string> NewKeyAsync(Users users, ApiKeys keys, CancellationToken cancellationToken)
    {
        foreach (var old in (await keys.ListAsync(user: null, cancellationToken)).Where(key => key.Name == keyName && key.RevokedAt is null))
            await keys.RevokeAsync(old.Id, user: null, actor, cancellationToken);
        var owner = (await users.ListAsync(cancellationToken)).Where(user => user.Role == Roles.Admin && user.DisabledAt is null)
            .OrderBy(user => user.CreatedAt).First();
        var create = new NewApiKey(keyName, owner.Name, Roles.Admin, [ApiKeys.AllScopes], ExpiresAt: null);
        return await keys.CreateAsync(create, actor, cancellationToken) is KeyCreation.Created created
            ? created.Secret
            : throw new InvalidOperationException($"the key of the local command line could not be made for {owner.Name}");
    }

    private static async Task WriteAsync(ServerHome home, Credentials credentials, CancellationToken cancellationToken)
    {
        var json = JsonSerializer.SerializeToUtf8Bytes(credentials, CredentialsJson.Default.Credentials);
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

    private static async Task<Credentials?> ReadAsync(ServerHome home, CancellationToken cancellationToken)
    {
        if (!File.Exists(home.Credentials)) return null;
        try
        {
            await using var file = File.OpenRead(home.Credentials);
            return await JsonSerializer.DeserializeAsync(file, CredentialsJson.Default.Credentials, cancellationToken);
        }
        catch (JsonException)
        {
            return null; // a torn or foreign file is replaced, like a missing one
        }
    }
}
