namespace ModelOps.ModelFiles.ChatTemplates.Jinja;

internal abstract class Expression(Position position)
{
    protected Position Position => position;

    public object? Evaluate(RenderContext context)
    {
        RenderContext.CheckStack();
        context.Step();
        context.Position = position;
        return Compute(context);
    }

    public bool IsTrue(RenderContext context) => Python.IsTrue(Evaluate(context));

    protected abstract object? Compute(RenderContext context);
}

internal sealed class Constant(Position position, object? value) : Expression(position)
{
    protected override object? Compute(RenderContext context) => value;
}

internal sealed class Variable(Position position, string name) : Expression(position)
{
    public string Name => name;

    protected override object? Compute(RenderContext context) =>
        context.Scope.TryFind(name, out var value) || Globals.TryFind(name, out value) ? value : Undefined.Variable(name);
}

internal sealed class ListLiteral(Position position, List<Expression> items) : Expression(position)
{
    protected override object? Compute(RenderContext context)
    {
        context.Allocate(items.Count);
        return items.ConvertAll(item => item.Evaluate(context));
    }
}

internal sealed class TupleLiteral(Position position, List<Expression> items) : Expression(position)
{
    public IReadOnlyList<Expression> Items => items;

    protected override object? Compute(RenderContext context)
    {
        context.Allocate(items.Count);
        return new JinjaTuple([.. items.Select(item => item.Evaluate(context))]);
    }
}

internal sealed class MappingLiteral(Position position, List<(Expression Key, Expression Value)> entries) : Expression(position)
{
    protected override object? Compute(RenderContext context)
    {
        context.Allocate(entries.Count);
        var result = new Mapping();
        foreach (var (key, value) in entries)
            result[key.Evaluate(context)] = value.Evaluate(context);
        return result;
    }
}

internal sealed class Attribute(Position position, Expression owner, string name) : Expression(position)
{
    public Expression Owner => owner;

    public string Name => name;

    protected override object? Compute(RenderContext context)
    {
        var value = owner.Evaluate(context);
        context.Position = Position;
        return Python.Attribute(value, name);
    }
}

internal sealed class Subscript(Position position, Expression owner, Expression key) : Expression(position)
{
    protected override object? Compute(RenderContext context)
    {
        var (value, index) = (owner.Evaluate(context), key.Evaluate(context));
        context.Position = Position;
        return Python.Item(value, index);
    }
}

internal sealed class Slice(Position position, Expression owner, Expression? start, Expression? stop, Expression? step) : Expression(position)
{
    protected override object? Compute(RenderContext context)
    {
        var value = owner.Evaluate(context);
        var (from, to, by) = (start?.Evaluate(context), stop?.Evaluate(context), step?.Evaluate(context));
        context.Position = Position;
        return Python.Slice(context, value, from, to, by);
    }
}

/// <summary>The arguments as a call writes them.</summary>
internal sealed class ArgumentList(
    List<Expression> positional, List<(string Name, Expression Value)> named, Expression? unpacked, Expression? unpackedNamed)
{
    public static ArgumentList Empty { get; } = new([], [], null, null);

    private readonly bool isEmpty = positional.Count + named.Count == 0 && unpacked is null && unpackedNamed is null;

    public Arguments Evaluate(RenderContext context)
    {
        if (isEmpty)
            return Arguments.None;
        var values = positional.ConvertAll(argument => argument.Evaluate(context));
        var byName = named.ToDictionary(argument => argument.Name, argument => argument.Value.Evaluate(context));
        if (unpacked is not null)
            values.AddRange(Python.Items(context, unpacked.Evaluate(context)));
        if (unpackedNamed is not null)
            Unpack(unpackedNamed.Evaluate(context), byName);
        return new Arguments(values, byName);
    }

    private static void Unpack(object? value, Dictionary<string, object?> byName)
    {
        if (value is not Mapping mapping)
            throw new TemplateFault($"argument after ** must be a mapping, not {Python.TypeName(value)}");
        foreach (var (key, entry) in mapping.Entries)
            byName[key as string ?? throw new TemplateFault("keywords must be strings")] = entry;
    }
}

internal sealed class Call(Position position, Expression callee, ArgumentList arguments) : Expression(position)
{
    public Expression Callee => callee;

    protected override object? Compute(RenderContext context) => Invoke(context, caller: null);

    /// <param name="caller">What a call block hands to the macro.</param>
    public object? Invoke(RenderContext context, Macro? caller)
    {
        var function = callee.Evaluate(context);
        var given = arguments.Evaluate(context);
        context.Position = Position;
        return function switch
        {
            Macro macro => macro.Invoke(context, given, caller),
            ICallable callable => callable.Invoke(context, given),
            Loop { Recurse: { } recurse } => recurse.Invoke(context, given),
            Undefined undefined => throw new TemplateFault(undefined.Message),
            _ => throw new TemplateFault($"'{Python.TypeName(function)}' object is not callable"),
        };
    }
}

internal sealed class FilterCall(Position position, Expression? subject, NativeFunction filter, ArgumentList arguments) : Expression(position)
{
    protected override object? Compute(RenderContext context) => Apply(context, subject?.Evaluate(context));

    public object? Apply(RenderContext context, object? value)
    {
        // A filter of a filter block has the block's text where others have an expression.
        var filtered = subject is FilterCall { IsInline: true } inner ? inner.Apply(context, value) : value;
        var given = arguments.Evaluate(context);
        context.Position = Position;
        return filter.Invoke(context, filtered, given);
    }

    private bool IsInline => subject is null or FilterCall { IsInline: true };
}

internal sealed class TestCall(Position position, Expression subject, NativeFunction test, ArgumentList arguments) : Expression(position)
{
    protected override object? Compute(RenderContext context)
    {
        var value = subject.Evaluate(context);
        var given = arguments.Evaluate(context);
        context.Position = Position;
        return test.Invoke(context, value, given);
    }
}

internal sealed class Not(Position position, Expression operand) : Expression(position)
{
    protected override object? Compute(RenderContext context) => !operand.IsTrue(context);
}

internal sealed class And(Position position, Expression left, Expression right) : Expression(position)
{
    protected override object? Compute(RenderContext context)
    {
        var value = left.Evaluate(context);
        return Python.IsTrue(value) ? right.Evaluate(context) : value;
    }
}

internal sealed class Or(Position position, Expression left, Expression right) : Expression(position)
{
    protected override object? Compute(RenderContext context)
    {
        var value = left.Evaluate(context);
        return Python.IsTrue(value) ? value : right.Evaluate(context);
    }
}

internal sealed class Conditional(Position position, Expression condition, Expression then, Expression? otherwise) : Expression(position)
{
    protected override object? Compute(RenderContext context) =>
        condition.IsTrue(context) ? then.Evaluate(context)
        : otherwise is not null ? otherwise.Evaluate(context)
        : new Undefined("the inline if-expression evaluated to false and no else section was defined");
}

internal sealed class Negation(Position position, Expression operand, bool negates) : Expression(position)
{
    protected override object? Compute(RenderContext context)
    {
        var value = operand.Evaluate(context);
        context.Position = Position;
        return Arithmetic.Signed(value, negates);
    }
}

internal sealed class Binary(Position position, string symbol, Expression left, Expression right) : Expression(position)
{
    protected override object? Compute(RenderContext context)
    {
        var (first, second) = (left.Evaluate(context), right.Evaluate(context));
        context.Position = Position;
        return Arithmetic.Apply(context, symbol, first, second);
    }
}

internal sealed class Concatenation(Position position, List<Expression> parts) : Expression(position)
{
    protected override object? Compute(RenderContext context)
    {
        var texts = parts.ConvertAll(part => PythonText.Of(part.Evaluate(context)));
        context.Allocate(texts.Sum(text => (long)text.Length));
        return string.Concat(texts);
    }
}

/// <summary><c>a &lt; b &lt;= c</c>: every neighbouring pair must hold, and nothing after the first that does not is evaluated.</summary>
internal sealed class Comparison(Position position, Expression first, List<(string Symbol, Expression Operand)> rest) : Expression(position)
{
    protected override object? Compute(RenderContext context)
    {
        var left = first.Evaluate(context);
        foreach (var (symbol, operand) in rest)
        {
            var right = operand.Evaluate(context);
            context.Position = Position;
            if (!Holds(context, symbol, left, right))
                return false;
            left = right;
        }
        return true;
    }

    private static bool Holds(RenderContext context, string symbol, object? left, object? right)
    {
        context.Step(Math.Min(Python.SizeOf(left), Python.SizeOf(right)) >> 6);
        return symbol switch
        {
            "==" => Python.AreEqual(left, right),
            "!=" => !Python.AreEqual(left, right),
            "<" => Python.Compare(left, right) < 0,
            "<=" => Python.Compare(left, right) <= 0,
            ">" => Python.Compare(left, right) > 0,
            ">=" => Python.Compare(left, right) >= 0,
            "in" => Python.Contains(context, right, left),
            _ => !Python.Contains(context, right, left),
        };
    }
}
