namespace ModelOps.Temporal.Visibility;

internal enum Comparison { Equal, NotEqual, Greater, GreaterOrEqual, Less, LessOrEqual, StartsWith }

/// <summary>A list filter, parsed. It holds by SQL's logic of three values: a comparison with a field that has no value is neither true nor false.</summary>
internal abstract record VisibilityFilter
{
    public sealed record And(VisibilityFilter Left, VisibilityFilter Right) : VisibilityFilter;

    public sealed record Or(VisibilityFilter Left, VisibilityFilter Right) : VisibilityFilter;

    public sealed record Not(VisibilityFilter Filter) : VisibilityFilter;

    public sealed record Compare(VisibilityField Field, Comparison Comparison, object Value) : VisibilityFilter;

    public sealed record In(VisibilityField Field, IReadOnlyList<object> Values) : VisibilityFilter;

    public sealed record HasValue(VisibilityField Field) : VisibilityFilter;
}

internal sealed record VisibilityOrder(VisibilityField Field, bool Descending);
