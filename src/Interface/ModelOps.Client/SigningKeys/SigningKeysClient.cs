namespace ModelOps.Client;

/// <summary>The keys that sign artifacts.</summary>
public sealed class SigningKeysClient
{
    private const string root = "api/v1/signing-keys";
    private readonly ApiConnection connection;

    internal SigningKeysClient(ApiConnection connection) => this.connection = connection;

    public async Task<IReadOnlyList<SigningKeyInfo>> ListAsync(CancellationToken cancellationToken = default) =>
        (await connection.GetAsync(root, WireJson.Default.PageSigningKeyInfo, cancellationToken).ConfigureAwait(false)).Items;

    /// <summary>A new key signs from now on; the old ones stay trusted. For admins.</summary>
    public Task<SigningKeyInfo> RotateAsync(CancellationToken cancellationToken = default) =>
        connection.PostAsync($"{root}/rotate", WireJson.Default.SigningKeyInfo, cancellationToken);

    /// <summary>Believes another signer. For admins.</summary>
    public Task<SigningKeyInfo> TrustAsync(string publicKey, string name, CancellationToken cancellationToken = default) =>
        connection.PostAsync(
            root, new TrustSigningKey(publicKey, name), WireJson.Default.TrustSigningKey, WireJson.Default.SigningKeyInfo, cancellationToken);

    /// <summary>From now on everything that the key signed is refused. For admins.</summary>
    public Task<SigningKeyInfo> RevokeAsync(string keyId, string reason, CancellationToken cancellationToken = default) =>
        connection.PostAsync(
            $"{root}/{ApiPath.Segment(keyId)}/revoke", new RevocationReason(reason), WireJson.Default.RevocationReason,
            WireJson.Default.SigningKeyInfo, cancellationToken);
}
