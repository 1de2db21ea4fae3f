using System.Text.Json;
using System.Text.Json.Nodes;

namespace ModelOps.Registry;

/// <summary>Rotates our key, adds and revokes trusted keys; each change is in the audit log.</summary>
public sealed class SigningKeys(string keysFolder, SigningKey own, TrustedKeys trusted, AuditLog audit, TimeProvider time)
{
    private const int maxText = 256;

    /// <summary>The id of the key that signs now.</summary>
    public string CurrentId => own.KeyId;

    public IReadOnlyList<TrustedKey> List() => trusted.List();

    public TrustedKey? Find(string keyId) => trusted.Find(keyId);

    /// <returns>The key that signs from now on.</returns>
    public async Task<TrustedKey> RotateAsync(string by, CancellationToken cancellationToken = default)
    {
        var old = own.KeyId;
        var next = own.Rotate();
        await AppendAsync(by, "signing_key.rotated", next, new JsonObject { ["from"] = old }, cancellationToken).ConfigureAwait(false);
        return trusted.Find(next) ?? throw new InvalidOperationException($"the key {next} was published and is not there");
    }

    /// <summary>Believes another signer from now on.</summary>
    /// <param name="pem">Its Ed25519 public key and, for OMS bundles, its ECDSA public key.</param>
    public async Task<KeyChange> TrustAsync(string pem, string name, string by, CancellationToken cancellationToken = default)
    {
        var errors = new List<string>();
        if (!PublicKeys.TryParse(pem, out var keys, out var fault))
            errors.Add($"public_key: {fault}; send the file that 'modelops signing show' of the signer prints.");
        if (string.IsNullOrWhiteSpace(name) || name.Length > maxText)
            errors.Add($"name: say whose key it is, in 1 to {maxText} characters.");
        if (keys is null || errors.Count > 0)
            return new KeyChange.Invalid(errors);
        if (trusted.Find(keys.KeyId) is { Revocation: { } revoked })
            return new KeyChange.Refused($"the key {keys.KeyId} was revoked by {revoked.By} ({revoked.Reason}); a revoked key stays revoked.");
        if (trusted.Find(keys.KeyId) is { } known && (known.Public.BundlePem == keys.BundlePem || keys.BundlePem is null))
            return new KeyChange.Changed(known);

        var folder = TrustedKeys.FolderIn(keysFolder);
        KeyFiles.CreateFolder(folder);
        var addition = new KeyAddition(name, by, time.GetUtcNow());
        Write(Path.Combine(folder, $"{keys.KeyId}.json"), JsonSerializer.Serialize(addition, TrustJson.Default.KeyAddition));
        Write(Path.Combine(folder, $"{keys.KeyId}.pub"), keys.Pem);
        var detail = new JsonObject { ["fingerprint"] = keys.Fingerprint, ["name"] = name };
        await AppendAsync(by, "signing_key.trusted", keys.KeyId, detail, cancellationToken).ConfigureAwait(false);
        return new KeyChange.Changed(trusted.Find(keys.KeyId)!);
    }

    /// <summary>From now on everything that the key signed is refused.</summary>
    public async Task<KeyChange> RevokeAsync(string keyId, string reason, string by, CancellationToken cancellationToken = default)
    {
        if (string.IsNullOrWhiteSpace(reason) || reason.Length > maxText)
            return new KeyChange.Invalid([$"reason: say why, in 1 to {maxText} characters."]);
        if (trusted.Find(keyId) is not { } key)
            return new KeyChange.NotFound(keyId);
        if (keyId == own.KeyId)
            return new KeyChange.Refused($"{keyId} is the key that signs now; rotate first: modelops signing rotate.");
        if (key.Revocation is not null)
            return new KeyChange.Changed(key);
        var revocation = new KeyRevocation(reason, by, time.GetUtcNow());
        Write(
            Path.Combine(TrustedKeys.FolderIn(keysFolder), $"{keyId}.revoked"),
            JsonSerializer.Serialize(revocation, TrustJson.Default.KeyRevocation));
        await AppendAsync(by, "signing_key.revoked", keyId, new JsonObject { ["reason"] = reason }, cancellationToken).ConfigureAwait(false);
        return new KeyChange.Changed(trusted.Find(keyId)!);
    }

    private static void Write(string path, string text) => KeyFiles.Replace(path, text, KeyFiles.Public);

    private Task AppendAsync(string by, string action, string keyId, JsonObject detail, CancellationToken cancellationToken) =>
        audit.AppendAsync(by, action, keyId, JsonElement.Parse(detail.ToJsonString()), cancellationToken);
}

public abstract record KeyChange
{
    private KeyChange()
    {
    }

    /// <summary>The key as it is now.</summary>
    public sealed record Changed(TrustedKey Key) : KeyChange;

    public sealed record NotFound(string KeyId) : KeyChange;

    /// <summary>The keys are not in a state that allows it.</summary>
    public sealed record Refused(string Reason) : KeyChange;

    public sealed record Invalid(IReadOnlyList<string> Errors) : KeyChange;
}
