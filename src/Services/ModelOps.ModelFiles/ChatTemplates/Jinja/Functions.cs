namespace ModelOps.ModelFiles.ChatTemplates.Jinja;

/// <summary>What a call was given; after binding, positions are parameters and <see cref="Has"/> tells what is there.</summary>
internal sealed class Arguments(IReadOnlyList<object?> positional, IReadOnlyDictionary<string, object?> named)
{
    private static readonly object absent = new();

    public static Arguments None { get; } = new([], new Dictionary<string, object?>());

    public IReadOnlyList<object?> Positional => positional;

    public IReadOnlyDictionary<string, object?> Named => named;

    public object? this[int index] => Has(index) ? positional[index] : null;

    public bool Has(int index) => index < positional.Count && positional[index] != absent;

    public string Text(int index, string fallback = "") => this[index] switch
    {
        null => fallback,
        string text => text,
        Undefined undefined => throw new TemplateFault(undefined.Message),
        var other => throw new TemplateFault($"a string is needed, not '{Python.TypeName(other)}'"),
    };

    public long Integer(int index, long fallback) => this[index] switch
    {
        null => fallback,
        long number => number,
        bool flag => flag ? 1 : 0,
        Undefined undefined => throw new TemplateFault(undefined.Message),
        var other => throw new TemplateFault($"an integer is needed, not '{Python.TypeName(other)}'"),
    };

    public bool Flag(int index) => Python.IsTrue(this[index]);

    /// <param name="from">How many of the positional arguments to leave out.</param>
    public Arguments Skip(int from) => new([.. positional.Skip(from)], named);

    public Arguments Bind(string function, string[] parameters, int required)
    {
        if (positional.Count > parameters.Length)
            throw new TemplateFault($"{function}() takes at most {parameters.Length} arguments, {positional.Count} are given");
        var bound = new object?[parameters.Length];
        for (var index = 0; index < bound.Length; index++)
            bound[index] = index < positional.Count ? positional[index] : absent;
        foreach (var (name, value) in named)
        {
            var index = Array.IndexOf(parameters, name);
            if (index < 0)
                throw new TemplateFault($"{function}() has no parameter '{name}'");
            if (bound[index] != absent)
                throw new TemplateFault($"{function}() is given '{name}' twice");
            bound[index] = value;
        }
        var missing = Array.IndexOf(bound, absent, 0, required);
        if (missing >= 0)
            throw new TemplateFault($"{function}() lacks its argument '{parameters[missing]}'");
        return new Arguments(bound, None.Named);
    }
}

internal interface ICallable
{
    object? Invoke(RenderContext context, Arguments arguments);
}

internal delegate object? FunctionBody(RenderContext context, object? subject, Arguments arguments);

/// <summary>A filter, test, method or global function.</summary>
/// <param name="parameters">Names in order, optional ones with a question mark; a star takes everything as it comes.</param>
/// <param name="body">Its subject is what is filtered, tested, or the method's owner.</param>
internal sealed class NativeFunction(string name, string parameters, FunctionBody body) : ICallable
{
    private readonly string[] parameterNames = [.. parameters.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(parameter => parameter.TrimEnd('?'))];
    private readonly int required = parameters.Split(' ', StringSplitOptions.RemoveEmptyEntries).Count(parameter => !parameter.EndsWith('?'));
    private readonly bool takesAll = parameters == "*";

    public string Name => name;

    public object? Invoke(RenderContext context, Arguments arguments) => Invoke(context, subject: null, arguments);

    public object? Invoke(RenderContext context, object? subject, Arguments arguments)
    {
        context.Step(1 + (Python.SizeOf(subject) >> 6));
        return body(context, subject, takesAll ? arguments : arguments.Bind(name, parameterNames, required));
    }
}

/// <summary>A method with its owner.</summary>
internal sealed class BoundFunction(NativeFunction function, object? subject) : ICallable
{
    public object? Invoke(RenderContext context, Arguments arguments) => function.Invoke(context, subject, arguments);
}
