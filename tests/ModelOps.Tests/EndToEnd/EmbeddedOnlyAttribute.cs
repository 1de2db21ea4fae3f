using Xunit.v3;

namespace ModelOps.Tests.EndToEnd;

/// <summary>A test that says nothing about the cluster's backends: <c>./test</c> leaves it out of that pass by the trait backends=embedded.</summary>
[AttributeUsage(AttributeTargets.Method | AttributeTargets.Class)]
internal sealed class EmbeddedOnlyAttribute(string reason) : Attribute, ITraitAttribute
{
    /// <summary>Why it has no meaning there, or cannot be asked there.</summary>
    public string Reason => reason;

    public IReadOnlyCollection<KeyValuePair<string, string>> GetTraits() => [new("backends", "embedded")];
}
