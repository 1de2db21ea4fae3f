namespace ModelOps.Temporal;

/// <summary>The namespaces and their search attributes. Called in transactions.</summary>
internal sealed class Namespaces
{
    private readonly Engine engine;
    private readonly SortedDictionary<string, DescribeNamespaceResponse> namespaces = new(StringComparer.Ordinal);
    private readonly Dictionary<string, Dictionary<string, IndexedValueType>> attributeTypes = [];

    public Namespaces(Engine engine, StoreReader reader)
    {
        this.engine = engine;
        foreach (var info in reader.Namespaces().Select(DescribeNamespaceResponse.Parser.ParseFrom))
            namespaces[info.NamespaceInfo.Name] = info;
        foreach (var (ns, name, type) in reader.AttributeTypes())
            TypesOf(ns)[name] = type;
    }

    public static DescribeNamespaceResponse Describe(
        string name, TimeSpan retention, string description = "", string ownerEmail = "", IDictionary<string, string>? data = null) => new()
        {
            NamespaceInfo = new()
            {
                Name = name,
                Id = name,
                State = NamespaceState.Registered,
                Description = description,
                OwnerEmail = ownerEmail,
                Data = { data ?? new Dictionary<string, string>() },
                SupportsSchedules = true,
                Capabilities = new()
                {
                    SyncUpdate = true,
                    AsyncUpdate = true,
                    WorkerPollCompleteOnShutdown = true, // else a stopping worker's last poll loses a task
                },
            },
            Config = new() { WorkflowExecutionRetentionTtl = Duration.FromTimeSpan(retention) },
        };

    public IEnumerable<DescribeNamespaceResponse> All => namespaces.Values;

    public DescribeNamespaceResponse? Find(string name) => namespaces.GetValueOrDefault(name);

    public void Put(DescribeNamespaceResponse info)
    {
        namespaces[info.NamespaceInfo.Name] = info;
        engine.Write(Writes.Namespace(info));
    }

    /// <summary>The types of the search attributes that the namespace defined.</summary>
    public IReadOnlyDictionary<string, IndexedValueType> AttributeTypes(string ns) => TypesOf(ns);

    public void AddAttribute(string ns, string name, IndexedValueType type)
    {
        TypesOf(ns)[name] = type;
        engine.Write(Writes.AttributeType(ns, name, type));
    }

    private Dictionary<string, IndexedValueType> TypesOf(string ns)
    {
        if (!attributeTypes.TryGetValue(ns, out var types))
            attributeTypes[ns] = types = [];
        return types;
    }
}
