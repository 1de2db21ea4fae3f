namespace ModelOps.Storage;

internal static class MasterKeyReader
{
    private const UnixFileMode Private = UnixFileMode.UserRead | UnixFileMode.UserWrite;
    private const int MaxFileBytes = 1024;
    private const string Make = "make one with 'head -c 32 /dev/urandom | base64'";

    /// <returns>null: there are faults.</returns>
    public static MasterKeys? Read(ObjectEncryptionOptions options, List<string> faults)
    {
        var before = faults.Count;
        if (options.MasterKeyFile is null == options.MasterKey is null)
            faults.Add($"encryption: set one of master_key_file and master_key; {Make}");
        var current = options.MasterKeyFile is { } file ? FromFile("master_key_file", file, faults) : null;
        current ??= options.MasterKey is { } text ? FromText("master_key", "it", text, faults) : null;
        var previous = options.PreviousMasterKeyFiles.Select((path, i) => FromFile($"previous_master_key_files:{i}", path, faults))
            .Concat(options.PreviousMasterKeys.Select((value, i) => FromText($"previous_master_keys:{i}", "it", value, faults)))
            .ToList();
        return faults.Count == before ? new(current!, [.. previous.Select(key => key!)]) : null;
    }

    private static byte[]? FromFile(string name, string path, List<string> faults)
    {
        try
        {
            var mode = File.GetUnixFileMode(path);
            if ((mode & ~Private) == UnixFileMode.None) return FromText(name, path, ReadShort(path), faults);
            faults.Add($"encryption:{name}: others may read {path} ({mode}); run: chmod 600 '{path}'");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            faults.Add($"encryption:{name}: {path} cannot be read: {e.Message}");
        }
        return null;
    }

    private static string ReadShort(string path)
    {
        using var file = File.OpenText(path);
        var text = new char[MaxFileBytes];
        return new string(text, 0, file.ReadBlock(text));
    }

    // The text is a secret: no message holds it.
    private static byte[]? FromText(string name, string where, string text, List<string> faults)
    {
        var key = new byte[MasterKeys.KeyBytes + 1];
        if (Convert.TryFromBase64String(text.Trim(), key, out var length) && length == MasterKeys.KeyBytes) return key[..length];
        faults.Add($"encryption:{name}: {where} is not the base64 of {MasterKeys.KeyBytes} bytes; {Make}");
        return null;
    }
}
