using System.Security.Cryptography;
using System.Text;

namespace ModelOps.Client;

/// <summary>Compares a file with what the hub announced of it.</summary>
internal static class HubDigest
{
    /// <returns>Null where size and digest are right; else what is not.</returns>
    public static async Task<string?> FaultAsync(string path, HubFile file, CancellationToken cancellationToken)
    {
        var stream = FileContent.OpenToRead(path);
        await using var scope = stream.ConfigureAwait(false);
        if (stream.Length != file.Size) return $"the hub announced {file.Size} bytes, {stream.Length} came";
        var (kind, expected) = file.Sha256 is null ? ("git digest", file.GitSha1!) : ("SHA-256", file.Sha256);
        var actual = Convert.ToHexStringLower(await HashAsync(stream, file.Sha256 is null, cancellationToken).ConfigureAwait(false));
        return actual == expected ? null : $"the hub announced the {kind} {expected}, the bytes that came have {actual}";
    }

    private static async Task<byte[]> HashAsync(FileStream stream, bool asGitBlob, CancellationToken cancellationToken)
    {
        if (!asGitBlob) return await SHA256.HashDataAsync(stream, cancellationToken).ConfigureAwait(false);
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA1); // what git names a blob by; nothing is signed with it
        hash.AppendData(Encoding.ASCII.GetBytes($"blob {stream.Length}\0"));
        var buffer = new byte[1 << 16];
        while (await stream.ReadAsync(buffer, cancellationToken).ConfigureAwait(false) is > 0 and var count) hash.AppendData(buffer, 0, count);
        return hash.GetHashAndReset();
    }
}
