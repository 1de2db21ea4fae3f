namespace ModelOps.Temporal;

internal static class Priorities
{
    /// <summary>What is not said of an activity or a child is as its run has it, each field by itself.</summary>
    public static Priority? Inherit(Priority? own, Priority? run)
    {
        if (own is null || run is null)
            return own ?? run;
        var merged = run.Clone();
        merged.MergeFrom(own); // of proto3: fields with their default are left out
        return merged;
    }
}
