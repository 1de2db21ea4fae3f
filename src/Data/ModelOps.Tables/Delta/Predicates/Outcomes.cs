namespace ModelOps.Tables.Delta;

/// <summary>
/// What a condition may come to: for one row exactly one of them, for a file of which only bounds are known, any that some row may have.
/// </summary>
[Flags]
internal enum Outcomes : byte
{
    None = 0,
    True = 1,
    False = 2,
    Null = 4,
    Any = True | False | Null,
}

internal static class OutcomesLogic
{
    public static bool May(this Outcomes a, Outcomes outcome) => (a & outcome) != Outcomes.None;

    public static Outcomes If(this Outcomes a, bool condition) => condition ? a : Outcomes.None;

    public static Outcomes Not(this Outcomes a) =>
        (a & Outcomes.Null) | Outcomes.False.If(a.May(Outcomes.True)) | Outcomes.True.If(a.May(Outcomes.False));

    public static Outcomes And(this Outcomes a, Outcomes b) =>
        (a & b & Outcomes.True)
        | ((a | b) & Outcomes.False)
        | Outcomes.Null.If((a.May(Outcomes.Null) && b.May(Outcomes.True | Outcomes.Null)) || (a.May(Outcomes.True) && b.May(Outcomes.Null)));

    public static Outcomes Or(this Outcomes a, Outcomes b) => a.Not().And(b.Not()).Not();

    public static Outcomes Of(bool value) => value ? Outcomes.True : Outcomes.False;
}
