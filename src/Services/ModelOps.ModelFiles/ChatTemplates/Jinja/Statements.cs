namespace ModelOps.ModelFiles.ChatTemplates.Jinja;

/// <summary>What a loop does after a statement.</summary>
internal enum Flow
{
    Next,
    Break,
    Continue,
}

internal abstract class Statement
{
    public abstract Flow Render(RenderContext context);
}

internal sealed class Block(IReadOnlyList<Statement> statements) : Statement
{
    public override Flow Render(RenderContext context)
    {
        RenderContext.CheckStack();
        foreach (var statement in statements)
        {
            context.Step();
            var flow = statement.Render(context);
            if (flow != Flow.Next)
                return flow;
        }
        return Flow.Next;
    }
}

internal sealed class Text(string text) : Statement
{
    public override Flow Render(RenderContext context)
    {
        context.Write(text);
        return Flow.Next;
    }
}

internal sealed class OutputStatement(Expression expression) : Statement
{
    public override Flow Render(RenderContext context)
    {
        context.Write(PythonText.Of(expression.Evaluate(context)));
        return Flow.Next;
    }
}

internal sealed class If(IReadOnlyList<(Expression Condition, Block Body)> branches, Block? otherwise) : Statement
{
    public override Flow Render(RenderContext context)
    {
        foreach (var (condition, body) in branches)
        {
            if (condition.IsTrue(context))
                return body.Render(context);
        }
        return otherwise?.Render(context) ?? Flow.Next;
    }
}

internal sealed class For(Target target, Expression items, Expression? filter, bool recursive, Block body, Block? otherwise) : Statement
{
    public override Flow Render(RenderContext context) => Run(context, items.Evaluate(context), depth: 0);

    private Flow Run(RenderContext context, object? value, int depth)
    {
        var outer = context.Scope;
        var list = Python.Items(context, value);
        if (filter is not null)
            list = list.FindAll(item => Passes(context, outer, item));
        if (list.Count == 0)
        {
            if (otherwise is not null)
                context.Within(new Scope(outer), otherwise.Render);
            return Flow.Next;
        }
        var loop = new Loop(list, depth, recursive ? Recursion(outer, depth) : null);
        for (; loop.Index < list.Count; loop.Index++)
        {
            context.Step();
            var scope = new Scope(outer);
            scope.Set("loop", loop);
            target.Assign(context, scope, list[loop.Index]);
            if (context.Within(scope, body.Render) == Flow.Break)
                break;
        }
        return Flow.Next;
    }

    private bool Passes(RenderContext context, Scope outer, object? item)
    {
        var scope = new Scope(outer);
        target.Assign(context, scope, item);
        return Python.IsTrue(context.Within(scope, filter!.Evaluate));
    }

    /// <summary><c>loop(items)</c> renders the same loop one level deeper and gives its text.</summary>
    private NativeFunction Recursion(Scope outer, int depth) => new("loop", "iterable", (context, _, arguments) =>
    {
        RenderContext.CheckStack();
        return context.Capture(outer, inner => Run(inner, arguments[0], depth + 1));
    });
}

internal sealed class LoopControl(Flow flow) : Statement
{
    public override Flow Render(RenderContext context) => flow;
}

internal sealed class Set(Target target, Expression value) : Statement
{
    public override Flow Render(RenderContext context)
    {
        target.Assign(context, context.Scope, value.Evaluate(context));
        return Flow.Next;
    }
}

internal sealed class SetBlock(Target target, FilterCall? filter, Block body) : Statement
{
    public override Flow Render(RenderContext context)
    {
        object? text = context.Capture(new Scope(context.Scope), body.Render);
        target.Assign(context, context.Scope, filter is null ? text : filter.Apply(context, text));
        return Flow.Next;
    }
}

internal sealed class FilterBlock(FilterCall filter, Block body) : Statement
{
    public override Flow Render(RenderContext context)
    {
        var text = context.Capture(new Scope(context.Scope), body.Render);
        context.Write(PythonText.Of(filter.Apply(context, text)));
        return Flow.Next;
    }
}

internal sealed class With(IReadOnlyList<(Target Target, Expression Value)> variables, Block body) : Statement
{
    public override Flow Render(RenderContext context)
    {
        var scope = new Scope(context.Scope);
        foreach (var (target, value) in variables)
            target.Assign(context, scope, value.Evaluate(context));
        return context.Within(scope, body.Render);
    }
}

internal sealed class Generation(Block body) : Statement
{
    public override Flow Render(RenderContext context)
    {
        var start = context.Output.Length;
        var flow = context.Within(new Scope(context.Scope), body.Render);
        context.MarkGeneration(start);
        return flow;
    }
}

/// <summary>Parameters and body of a macro or of a call block.</summary>
/// <param name="TakesMore">Whether the body reads <c>varargs</c>; without it more arguments than parameters are a fault.</param>
/// <param name="TakesMoreNamed">Likewise for <c>kwargs</c> and unknown names.</param>
internal sealed record MacroDefinition(
    string Name, IReadOnlyList<(string Name, Expression? Default)> Parameters, Block Body, bool TakesMore, bool TakesMoreNamed);

internal sealed class MacroStatement(MacroDefinition definition) : Statement
{
    public override Flow Render(RenderContext context)
    {
        context.Scope.Set(definition.Name, new Macro(definition, context.Scope));
        return Flow.Next;
    }
}

internal sealed class CallBlock(Call call, MacroDefinition caller) : Statement
{
    public override Flow Render(RenderContext context)
    {
        context.Write(PythonText.Of(call.Invoke(context, new Macro(caller, context.Scope))));
        return Flow.Next;
    }
}

/// <summary>A macro sees the variables of where it is defined, not of where it is called.</summary>
internal sealed class Macro(MacroDefinition definition, Scope closure) : ICallable, IAttributes
{
    public object? Invoke(RenderContext context, Arguments arguments) => Invoke(context, arguments, caller: null);

    public object? Invoke(RenderContext context, Arguments arguments, Macro? caller)
    {
        RenderContext.CheckStack();
        var scope = new Scope(closure);
        scope.Set("caller", caller is null ? Undefined.Variable("caller") : caller);
        var named = new Dictionary<string, object?>(arguments.Named);
        if (caller is null && named.Remove("caller", out var given))
            scope.Set("caller", given);
        var parameters = definition.Parameters;
        for (var index = 0; index < parameters.Count; index++)
        {
            var (name, fallback) = parameters[index];
            if (index < arguments.Positional.Count)
                scope.Set(name, arguments.Positional[index]);
            else if (named.Remove(name, out var value))
                scope.Set(name, value);
            else
                scope.Set(name, fallback is null ? Undefined.Variable(name) : context.Within(scope, fallback.Evaluate));
        }
        if (arguments.Positional.Count > parameters.Count && !definition.TakesMore)
            throw new TemplateFault($"macro '{definition.Name}' takes not more than {parameters.Count} argument(s)");
        if (named.Count > 0 && !definition.TakesMoreNamed)
            throw new TemplateFault($"macro '{definition.Name}' takes no keyword argument '{named.Keys.First()}'");
        scope.Set("varargs", new JinjaTuple([.. arguments.Positional.Skip(parameters.Count)]));
        var keywords = new Mapping();
        foreach (var (name, value) in named)
            keywords[name] = value;
        scope.Set("kwargs", keywords);
        return context.Capture(scope, definition.Body.Render);
    }

    public bool TryGetAttribute(string name, out object? value)
    {
        value = name == "name" ? definition.Name : null;
        return name == "name";
    }
}

/// <summary>What can be assigned to.</summary>
internal abstract class Target
{
    public abstract void Assign(RenderContext context, Scope scope, object? value);
}

internal sealed class NameTarget(string name) : Target
{
    public override void Assign(RenderContext context, Scope scope, object? value) => scope.Set(name, value);
}

internal sealed class NamespaceTarget(string owner, string attribute) : Target
{
    public override void Assign(RenderContext context, Scope scope, object? value)
    {
        if (!scope.TryFind(owner, out var found) || found is not Namespace @namespace)
            throw new TemplateFault("cannot assign attribute on non-namespace object");
        @namespace[attribute] = value;
    }
}

internal sealed class TupleTarget(IReadOnlyList<Target> targets) : Target
{
    public override void Assign(RenderContext context, Scope scope, object? value)
    {
        var items = Python.Items(context, value);
        if (items.Count != targets.Count)
            throw new TemplateFault($"{items.Count} values cannot be unpacked into {targets.Count} names");
        for (var index = 0; index < items.Count; index++)
            targets[index].Assign(context, scope, items[index]);
    }
}
