using System.Buffers.Text;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace ModelOps.Registry;

/// <summary>
/// The P-256 keys that sign access tokens: <c>tokens/SECONDS-KID.pem</c> in the keys folder, mode 0600. The newest signs; one before it
/// is kept as long as what it signed can live.
/// </summary>
public sealed class TokenKeys : IDisposable
{
    private readonly Lock gate = new();
    private readonly string folder;
    private readonly TimeProvider time;
    private IReadOnlyList<TokenKey> keys;

    private TokenKeys(string folder, TimeProvider time)
    {
        this.folder = folder;
        this.time = time;
        keys = [.. Directory.EnumerateFiles(folder, "*.pem").Select(Read).OrderByDescending(key => key.CreatedAt)];
    }

    /// <summary>How long a key signs.</summary>
    public static TimeSpan SigningPeriod { get; } = TimeSpan.FromDays(30);

    /// <summary>How long a key is believed after the next one took over.</summary>
    public static TimeSpan Overlap { get; } = TimeSpan.FromHours(1);

    /// <summary>Those believed now, the signing one first.</summary>
    public IReadOnlyList<TokenKey> All => keys;

    /// <exception cref="InvalidDataException">A file holds no P-256 private key.</exception>
    /// <exception cref="InvalidOperationException">A file can be read by other users.</exception>
    public static TokenKeys Open(string keysFolder, TimeProvider time)
    {
        var tokens = Path.Combine(keysFolder, "tokens");
        KeyFiles.CreateFolder(tokens);
        var opened = new TokenKeys(tokens, time);
        opened.Current();
        return opened;
    }

    /// <summary>The key that signs; a new one when the last has signed for <see cref="SigningPeriod"/>.</summary>
    public TokenKey Current()
    {
        lock (gate)
        {
            var now = time.GetUtcNow();
            if (keys.Count == 0 || now - keys[0].CreatedAt >= SigningPeriod)
                keys = [Create(now), .. keys];
            else if (keys.Count > 1 && now - keys[0].CreatedAt >= Overlap)
                Retire();
            return keys[0];
        }
    }

    public void Dispose()
    {
        foreach (var key in keys)
            key.Key.Dispose();
    }

    private void Retire()
    {
        foreach (var old in keys.Skip(1))
            File.Delete(PathOf(old)); // its key object may still be verifying a signature: the collector takes it
        keys = [keys[0]];
    }

    private TokenKey Create(DateTimeOffset now)
    {
#pragma warning disable CA2000 // the key that is returned owns it
        var ecdsa = ECDsa.Create(ECCurve.NamedCurves.nistP256);
#pragma warning restore CA2000
        var key = new TokenKey(Thumbprint(ecdsa), DateTimeOffset.FromUnixTimeSeconds(now.ToUnixTimeSeconds()), ecdsa);
        KeyFiles.CreateIfAbsent(PathOf(key), ecdsa.ExportPkcs8PrivateKeyPem() + "\n", KeyFiles.Private);
        return key;
    }

    private string PathOf(TokenKey key) => Path.Combine(folder, $"{key.CreatedAt.ToUnixTimeSeconds()}-{key.Id}.pem");

    private static TokenKey Read(string path)
    {
        KeyFiles.RefuseIfOthersCanRead(path);
#pragma warning disable CA2000 // the key that is returned owns it
        var ecdsa = ECDsa.Create();
#pragma warning restore CA2000
        try
        {
            ecdsa.ImportFromPem(File.ReadAllText(path));
            var seconds = long.Parse(Path.GetFileName(path).Split('-')[0], NumberStyles.None, CultureInfo.InvariantCulture);
            return new TokenKey(Thumbprint(ecdsa), DateTimeOffset.FromUnixTimeSeconds(seconds), ecdsa);
        }
        catch (Exception fault) when (fault is ArgumentException or CryptographicException or FormatException)
        {
            ecdsa.Dispose();
            throw new InvalidDataException($"{path} is no key for access tokens (SECONDS-ID.pem with a P-256 private key). Move it away.", fault);
        }
    }

    /// <summary>RFC 7638.</summary>
    private static string Thumbprint(ECDsa key)
    {
        var point = key.ExportParameters(includePrivateParameters: false).Q;
        var json = $$"""{"crv":"P-256","kty":"EC","x":"{{Base64Url.EncodeToString(point.X)}}","y":"{{Base64Url.EncodeToString(point.Y)}}"}""";
        return Base64Url.EncodeToString(SHA256.HashData(Encoding.ASCII.GetBytes(json)));
    }
}

/// <param name="Id">The RFC 7638 thumbprint: the <c>kid</c> of what it signs.</param>
public sealed record TokenKey(string Id, DateTimeOffset CreatedAt, ECDsa Key);
