using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;

namespace ModelOps.Registry;

/// <summary>Secrets of 256 random bits: they need no salt and no slow hash.</summary>
internal static class Secret
{
    private const int bytes = 32;

    /// <returns>The prefix and 43 base64url characters.</returns>
    public static string Create(string prefix) => prefix + Base64Url.EncodeToString(RandomNumberGenerator.GetBytes(bytes));

    public static string NewId(string prefix) => prefix + RandomNumberGenerator.GetHexString(16, lowercase: true);

    /// <returns>SHA-256, hex.</returns>
    public static string Hash(string secret) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(secret)));

    /// <summary>In constant time.</summary>
    public static bool Equal(string hash, string other) =>
        CryptographicOperations.FixedTimeEquals(Encoding.ASCII.GetBytes(hash), Encoding.ASCII.GetBytes(other));
}
