using Xunit.v3;

namespace ModelOps.Tests.EndToEnd;

/// <summary>A test whose subject others show on the embedded backends: <c>./test</c> leaves it out of that pass by the trait backends=cluster, unless it is named.</summary>
[AttributeUsage(AttributeTargets.Method | AttributeTargets.Class)]
internal sealed class ClusterOnlyAttribute(string reason) : Attribute, ITraitAttribute
{
    /// <summary>Which tests show it there.</summary>
    public string Reason => reason;

    public IReadOnlyCollection<KeyValuePair<string, string>> GetTraits() => [new("backends", "cluster")];
}
