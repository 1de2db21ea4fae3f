namespace ModelOps.Workflows;

/// <summary>The name that a fine-tuned model answers under, as OpenAI forms it: <c>ft:BASE:ORGANIZATION:SUFFIX:ID</c>. No other deployment's name has a colon.</summary>
/// <param name="Suffix">Empty: the user gave none.</param>
public sealed record FineTunedModel(string Base, string Organization, string Suffix, string Id)
{
    private const string Mark = "ft";
    private const int IdLength = 12;

    /// <param name="job">The job that makes it, by whose random end it is told from others.</param>
    public static FineTunedModel Of(string @base, string organization, string? suffix, string job) => new(@base, organization, suffix ?? "", job[^IdLength..]);

    /// <returns>Null: it is no such name.</returns>
    public static FineTunedModel? Parse(string name) =>
        name.Split(':') is [Mark, var @base, var organization, var suffix, { Length: IdLength } id] ? new(@base, organization, suffix, id) : null;

    public override string ToString() => $"{Mark}:{Base}:{Organization}:{Suffix}:{Id}";
}
