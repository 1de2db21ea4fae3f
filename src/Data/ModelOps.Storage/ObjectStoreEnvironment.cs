using System.Globalization;

namespace ModelOps.Storage;

/// <summary>The options as environment variables, for a process that this one starts.</summary>
public static class ObjectStoreEnvironment
{
    /// <summary>The section of the configuration, which also the names of the variables begin with (':' is '__' there).</summary>
    public const string Section = "ModelOps:Objects";

    public const string Prefix = "MODELOPS__OBJECTS__";

    /// <returns>Only what is set. Paths are made absolute: the process may have another working folder.</returns>
    public static IReadOnlyDictionary<string, string> ToEnvironment(this ObjectStoreOptions options)
    {
        var variables = new Dictionary<string, string>(StringComparer.Ordinal);
        void Add(string name, string? value)
        {
            if (!string.IsNullOrEmpty(value)) variables[Prefix + name] = value;
        }
        void AddAll(string name, IEnumerable<string> values)
        {
            foreach (var (index, value) in values.Index()) Add(string.Create(CultureInfo.InvariantCulture, $"{name}__{index}"), value);
        }
        Add("KIND", options.Kind.ToString());
        Add("ENDPOINT", options.Endpoint);
        Add("REGION", options.Region);
        Add("BUCKET", options.Bucket);
        Add("PREFIX", options.Prefix);
        Add("ACCESSKEY", options.AccessKey);
        Add("SECRETKEY", options.SecretKey);
        Add("PATHSTYLE", options.PathStyle?.ToString());
        if (options.Encryption is not { } encryption) return variables;
        Add("ENCRYPTION__MASTERKEYFILE", encryption.MasterKeyFile is { } file ? Path.GetFullPath(file) : null);
        Add("ENCRYPTION__MASTERKEY", encryption.MasterKey);
        AddAll("ENCRYPTION__PREVIOUSMASTERKEYFILES", encryption.PreviousMasterKeyFiles.Select(Path.GetFullPath));
        AddAll("ENCRYPTION__PREVIOUSMASTERKEYS", encryption.PreviousMasterKeys);
        return variables;
    }
}
