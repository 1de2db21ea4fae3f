namespace ModelOps.Client;

internal static class ApiPath
{
    /// <summary>One segment of a path: what a user types can neither leave its place nor add a query. <c>@</c> and <c>:</c> stay readable.</summary>
    public static string Segment(string value)
    {
        if (value is "" or "." or "..")
        {
            throw new ModelOpsException(new Problem
            {
                Type = ProblemTypes.Invalid,
                Title = "Invalid name",
                Status = 400,
                Detail = $"'{value}' is not a name; use the name as the matching list command prints it.",
            });
        }
        return Uri.EscapeDataString(value).Replace("%40", "@", StringComparison.Ordinal).Replace("%3A", ":", StringComparison.Ordinal);
    }
}
