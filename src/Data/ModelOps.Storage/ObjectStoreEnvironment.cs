using System.Collections;
using System.Globalization;

namespace ModelOps.Storage;

/// <summary>The options as environment variables, by the names of the server's configuration, for a process that this one starts.</summary>
public static class ObjectStoreEnvironment
{
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
            foreach (var (index, value) in values.Index()) Add(Item(name, index), value);
        }
        Add("KIND", options.Kind.ToString().ToLowerInvariant());
        Add("ENDPOINT", options.Endpoint);
        Add("REGION", options.Region);
        Add("BUCKET", options.Bucket);
        Add("PREFIX", options.Prefix);
        Add("ACCESS_KEY", options.AccessKey);
        Add("SECRET_KEY", options.SecretKey);
        Add("PATH_STYLE", options.PathStyle?.ToString().ToLowerInvariant());
        if (options.Encryption is not { } encryption) return variables;
        Add("ENCRYPTION__MASTER_KEY_FILE", encryption.MasterKeyFile is { } file ? Path.GetFullPath(file) : null);
        Add("ENCRYPTION__MASTER_KEY", encryption.MasterKey);
        AddAll("ENCRYPTION__PREVIOUS_MASTER_KEY_FILES", encryption.PreviousMasterKeyFiles.Select(Path.GetFullPath));
        AddAll("ENCRYPTION__PREVIOUS_MASTER_KEYS", encryption.PreviousMasterKeys);
        return variables;
    }

    /// <summary>What <see cref="ToEnvironment"/> wrote, or a person.</summary>
    /// <exception cref="ObjectStoreOptionsException">A value is none that the option can have.</exception>
    public static ObjectStoreOptions Read(IDictionary variables)
    {
        var faults = new List<string>();
        string? Get(string name) => variables[Prefix + name] as string;
        IReadOnlyList<string> GetAll(string name)
        {
            var values = new List<string>();
            while (Get(Item(name, values.Count)) is { } value) values.Add(value);
            return values;
        }
        var encryption = new ObjectEncryptionOptions
        {
            MasterKeyFile = Get("ENCRYPTION__MASTER_KEY_FILE"),
            MasterKey = Get("ENCRYPTION__MASTER_KEY"),
            PreviousMasterKeyFiles = GetAll("ENCRYPTION__PREVIOUS_MASTER_KEY_FILES"),
            PreviousMasterKeys = GetAll("ENCRYPTION__PREVIOUS_MASTER_KEYS"),
        };
        if (!Enum.TryParse<ObjectStoreKind>(Get("KIND") ?? nameof(ObjectStoreKind.Files), ignoreCase: true, out var kind))
            faults.Add($"kind is '{Get("KIND")}'; allowed is files or s3");
        if (!bool.TryParse(Get("PATH_STYLE") ?? bool.TrueString, out var pathStyle)) faults.Add($"path_style is '{Get("PATH_STYLE")}'; allowed is true or false");
        if (faults.Count > 0) throw new ObjectStoreOptionsException(faults);
        return new()
        {
            Kind = kind,
            Endpoint = Get("ENDPOINT"),
            Region = Get("REGION") ?? ObjectStoreOptions.DefaultRegion,
            Bucket = Get("BUCKET"),
            Prefix = Get("PREFIX") ?? "",
            AccessKey = Get("ACCESS_KEY"),
            SecretKey = Get("SECRET_KEY"),
            PathStyle = Get("PATH_STYLE") is null ? null : pathStyle,
            Encryption = encryption is { MasterKeyFile: null, MasterKey: null, PreviousMasterKeyFiles.Count: 0, PreviousMasterKeys.Count: 0 } ? null : encryption,
        };
    }

    private static string Item(string name, int index) => string.Create(CultureInfo.InvariantCulture, $"{name}__{index}");
}
