namespace ModelOps.Server.OpenAI;

/// <summary>Every fault of a request, with the parameter that it is in.</summary>
internal sealed class Faults
{
    private readonly List<string> messages = [];

    /// <summary>Where the first one is; OpenAI's error object names one.</summary>
    public string? Param { get; private set; }

    public IReadOnlyList<string> Messages => messages;

    public bool Any => messages.Count > 0;

    /// <param name="rule">What is allowed: "must be from 0 to 2, not 9".</param>
    public void Add(string param, string rule)
    {
        Param ??= param;
        messages.Add($"{param} {rule}");
    }

    /// <summary>The items of a list; a null among them is a fault.</summary>
    public IReadOnlyList<T> Present<T>(string param, IReadOnlyList<T?>? items)
        where T : class
    {
        for (var i = 0; i < items?.Count; i++)
            if (items[i] is null) Add($"{param}[{i}]", "must not be null");
        return [.. (items ?? []).OfType<T>()];
    }

    /// <param name="rule">What must hold for a value that is given.</param>
    public void Check<T>(string param, T? value, Func<T, bool> rule, string allowed)
        where T : struct
    {
        if (value is { } given && !rule(given)) Add(param, $"must be {allowed}, not {given}");
    }
}
