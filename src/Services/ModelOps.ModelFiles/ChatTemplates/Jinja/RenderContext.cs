using System.Runtime.CompilerServices;
using System.Text;

namespace ModelOps.ModelFiles.ChatTemplates.Jinja;

/// <summary>Variables of one block that has its own; unknown ones are looked for further out.</summary>
internal sealed class Scope(Scope? parent)
{
    private readonly Dictionary<string, object?> variables = [];

    public void Set(string name, object? value) => variables[name] = value;

    public bool TryFind(string name, out object? value)
    {
        for (var scope = this; scope is not null; scope = scope.Outer)
        {
            if (scope.variables.TryGetValue(name, out value))
                return true;
        }
        value = null;
        return false;
    }

    private Scope? Outer => parent;
}

/// <summary>The state of one rendering.</summary>
internal sealed class RenderContext
{
    /// <summary>The rendering that this thread is in: comparers, and values on their way to text, have no other way to it.</summary>
    [ThreadStatic]
    private static RenderContext? current;

    private readonly ChatTemplateLimits limits;
    private readonly List<TextSpan> generationSpans = [];
    private readonly StringBuilder root = new();
    private long steps;
    private long characters;

    public RenderContext(Scope variables, TimeProvider time, ChatTemplateLimits limits)
    {
        this.limits = limits;
        Scope = variables;
        Time = time;
        Output = root;
    }

    public StringBuilder Output { get; private set; }

    public Scope Scope { get; private set; }

    public TimeProvider Time { get; }

    /// <summary>Where the template is, for the message should it fail.</summary>
    public Position Position { get; set; }

    public IReadOnlyList<TextSpan> GenerationSpans => generationSpans;

    public void Step(int count = 1)
    {
        steps += count;
        if (steps > limits.Steps)
            throw new TemplateFault($"the template takes more than {limits.Steps} steps");
    }

    /// <summary>To be called before text or a list of this length is made.</summary>
    public void Allocate(long length)
    {
        characters += Math.Max(0, length);
        if (characters > limits.Characters)
            throw new TemplateFault($"the template makes more than {limits.Characters} characters");
    }

    /// <summary>Every recursion passes here: a stack overflow would end the process.</summary>
    public static void CheckStack()
    {
        if (!RuntimeHelpers.TryEnsureSufficientExecutionStack())
            throw new TemplateFault("the template is nested too deeply");
    }

    /// <summary>Every recursion into a value passes here: a list may hold another many times, which is small until it is gone through.</summary>
    public static void Visit(object? value)
    {
        CheckStack();
        current?.Step(1 + (Python.SizeOf(value) >> 6));
    }

    /// <summary><see cref="Allocate"/> for text that a value turns into.</summary>
    public static void AllocateText(int length) => current?.Allocate(length);

    public void Run(Block body)
    {
        current = this;
        try
        {
            body.Render(this);
        }
        finally
        {
            current = null;
        }
    }

    public void Write(string text)
    {
        Allocate(text.Length);
        Output.Append(text);
    }

    /// <summary>What <paramref name="body"/> writes, as text instead of output.</summary>
    public string Capture(Scope scope, Func<RenderContext, Flow> body)
    {
        var outer = Output;
        Output = new StringBuilder();
        try
        {
            Within(scope, body);
            return Output.ToString();
        }
        finally
        {
            Output = outer;
        }
    }

    public T Within<T>(Scope scope, Func<RenderContext, T> body)
    {
        var outer = Scope;
        Scope = scope;
        try
        {
            return body(this);
        }
        finally
        {
            Scope = outer;
        }
    }

    /// <summary>Marks output as the assistant's. Text that is captured has no place in the output yet and is not marked.</summary>
    public void MarkGeneration(int start)
    {
        if (Output == root && root.Length > start)
            generationSpans.Add(new TextSpan(start, root.Length - start));
    }
}
