namespace ModelOps.ModelFiles.ChatTemplates.Jinja;

/// <summary>Jinja 3.1's grammar, without what needs other templates (include, import, extends). Statements; expressions are in the other part.</summary>
internal sealed partial class Parser(List<Token> tokens)
{
    private int index;
    private int loops;
    private bool readsVarargs;
    private bool readsKwargs;

    public bool HasGenerationBlocks { get; private set; }

    private Token Current => tokens[index];

    public Block ParseTemplate()
    {
        try
        {
            return ParseBody();
        }
        catch (TemplateFault fault) // nested too deeply
        {
            throw new ChatTemplateException(fault.Message, Current.Position.Line, Current.Position.Column, raisedByTemplate: false, fault);
        }
    }

    /// <summary>Parses up to one of the tags in <paramref name="ends"/>, whose name is then the current token; without any, to the end.</summary>
    private Block ParseBody(params ReadOnlySpan<string> ends)
    {
        RenderContext.CheckStack();
        var statements = new List<Statement>();
        while (true)
        {
            var token = Next();
            switch (token.Kind)
            {
                case TokenKind.Data:
                    statements.Add(new Text(token.Text));
                    break;
                case TokenKind.OutputBegin:
                    statements.Add(new OutputStatement(ParseTuple()));
                    Expect(TokenKind.OutputEnd, "'}}'");
                    break;
                case TokenKind.BlockBegin when Current.Kind == TokenKind.Name && ends.Contains(Current.Text):
                    return new Block(statements);
                case TokenKind.BlockBegin:
                    statements.Add(ParseStatement());
                    break;
                default:
                    if (ends.Length > 0)
                        throw Fault($"'{{% {ends[^1]} %}}' is missing", token);
                    return new Block(statements);
            }
        }
    }

    private Statement ParseStatement()
    {
        var token = ExpectName();
        switch (token.Text)
        {
            case "if": return ParseIf();
            case "for": return ParseFor();
            case "set": return ParseSet();
            case "macro": return ParseMacro();
            case "call": return ParseCallBlock();
            case "filter": return ParseFilterBlock();
            case "with": return ParseWith();
            case "generation": return ParseGeneration();
            case "print": return ParsePrint();
            case "break" or "continue" when loops > 0:
                Expect(TokenKind.BlockEnd, "'%}'");
                return new LoopControl(token.Text == "break" ? Flow.Break : Flow.Continue);
            case "break" or "continue": throw Fault($"'{token.Text}' is outside of a loop", token);
            default: throw Fault($"unknown tag '{token.Text}'", token);
        }
    }

    private If ParseIf()
    {
        var branches = new List<(Expression, Block)>();
        while (true)
        {
            var condition = ParseTuple(withConditional: false);
            branches.Add((condition, ParseTagBody("elif", "else", "endif")));
            switch (Next().Text)
            {
                case "elif":
                    break;
                case "else":
                    var otherwise = ParseTagBody("endif");
                    ParseEnd();
                    return new If(branches, otherwise);
                default:
                    Expect(TokenKind.BlockEnd, "'%}'");
                    return new If(branches, null);
            }
        }
    }

    private For ParseFor()
    {
        var target = ParseTarget();
        ExpectName("in");
        var items = ParseTuple(withConditional: false);
        var filter = SkipName("if") ? ParseExpression() : null;
        var recursive = SkipName("recursive");
        loops++;
        var body = ParseTagBody("else", "endfor");
        loops--;
        var otherwise = Next().Text == "else" ? ParseTagBody("endfor") : null;
        if (otherwise is null)
            Expect(TokenKind.BlockEnd, "'%}'");
        else
            ParseEnd();
        return new For(target, items, filter, recursive, body, otherwise);
    }

    private Statement ParseSet()
    {
        var target = ParseTarget();
        if (SkipOperator("="))
        {
            var value = ParseTuple();
            Expect(TokenKind.BlockEnd, "'%}'");
            return new Set(target, value);
        }
        var filter = Current.IsOperator("|") ? ParseFilters(null) : null;
        return new SetBlock(target, filter, ParseBodyAndEnd("endset"));
    }

    private MacroStatement ParseMacro()
    {
        var name = ExpectName().Text;
        return new MacroStatement(ParseMacroRest(name, ParseSignature(), "endmacro"));
    }

    private CallBlock ParseCallBlock()
    {
        var parameters = Current.IsOperator("(") ? ParseSignature() : [];
        var token = Current;
        if (ParseExpression() is not Call call)
            throw Fault("a call block needs a call", token);
        return new CallBlock(call, ParseMacroRest("caller", parameters, "endcall"));
    }

    private MacroDefinition ParseMacroRest(string name, List<(string, Expression?)> parameters, string end)
    {
        var outer = (readsVarargs, readsKwargs);
        (readsVarargs, readsKwargs) = (false, false);
        var definition = new MacroDefinition(name, parameters, ParseMacroBody(end), readsVarargs, readsKwargs);
        (readsVarargs, readsKwargs) = outer;
        return definition;
    }

    /// <summary>A loop around a macro is not one that its body can break.</summary>
    private Block ParseMacroBody(string end)
    {
        var outer = loops;
        loops = 0;
        var body = ParseBodyAndEnd(end);
        loops = outer;
        return body;
    }

    private FilterBlock ParseFilterBlock()
    {
        var filter = ParseFilter(null);
        filter = ParseFilters(filter) ?? filter;
        return new FilterBlock(filter, ParseMacroBody("endfilter"));
    }

    private With ParseWith()
    {
        var variables = new List<(Target, Expression)>();
        while (Current.Kind != TokenKind.BlockEnd)
        {
            if (variables.Count > 0)
                ExpectOperator(",");
            var target = ParseTarget();
            ExpectOperator("=");
            variables.Add((target, ParseExpression()));
        }
        return new With(variables, ParseBodyAndEnd("endwith"));
    }

    private Generation ParseGeneration()
    {
        HasGenerationBlocks = true;
        return new Generation(ParseBodyAndEnd("endgeneration"));
    }

    private Block ParsePrint()
    {
        var outputs = new List<Statement>();
        while (Current.Kind != TokenKind.BlockEnd)
        {
            if (outputs.Count > 0)
                ExpectOperator(",");
            outputs.Add(new OutputStatement(ParseExpression()));
        }
        Expect(TokenKind.BlockEnd, "'%}'");
        return new Block(outputs);
    }

    private List<(string, Expression?)> ParseSignature()
    {
        var parameters = new List<(string Name, Expression? Default)>();
        ExpectOperator("(");
        while (!SkipOperator(")"))
        {
            if (parameters.Count > 0)
                ExpectOperator(",");
            var name = ExpectName();
            var fallback = SkipOperator("=") ? ParseExpression() : null;
            if (fallback is null && parameters.Exists(parameter => parameter.Default is not null))
                throw Fault("a parameter without a default follows one with a default", name);
            parameters.Add((name.Text, fallback));
        }
        return parameters;
    }

    private Target ParseTarget()
    {
        var targets = new List<Target>();
        var isTuple = false;
        do
        {
            if (isTuple && (Current.IsName("in") || Current.IsOperator("=") || Current.IsOperator(")")))
                break;
            targets.Add(ParseSingleTarget());
            isTuple |= Current.IsOperator(",");
        }
        while (SkipOperator(","));
        return isTuple ? new TupleTarget(targets) : targets[0];
    }

    private Target ParseSingleTarget()
    {
        RenderContext.CheckStack();
        if (SkipOperator("("))
        {
            var inner = ParseTarget();
            ExpectOperator(")");
            return inner;
        }
        var name = ExpectName();
        if (name.Text is "true" or "false" or "none" or "True" or "False" or "None")
            throw Fault($"cannot assign to '{name.Text}'", name);
        return SkipOperator(".") ? new NamespaceTarget(name.Text, ExpectName().Text) : new NameTarget(name.Text);
    }

    private Block ParseTagBody(params ReadOnlySpan<string> ends)
    {
        SkipOperator(":");
        Expect(TokenKind.BlockEnd, "'%}'");
        return ParseBody(ends);
    }

    private Block ParseBodyAndEnd(string end)
    {
        var body = ParseTagBody(end);
        ParseEnd();
        return body;
    }

    private void ParseEnd()
    {
        ExpectName();
        Expect(TokenKind.BlockEnd, "'%}'");
    }

    private Token Next() => Current.Kind == TokenKind.End ? Current : tokens[index++];

    private Token Expect(TokenKind kind, string described) =>
        Current.Kind == kind ? Next() : throw Fault($"{described} is expected, not {Current.Described}", Current);

    private Token ExpectName() => Expect(TokenKind.Name, "a name");

    private void ExpectName(string name)
    {
        if (!SkipName(name))
            throw Fault($"'{name}' is expected, not {Current.Described}", Current);
    }

    private void ExpectOperator(string symbol)
    {
        if (!SkipOperator(symbol))
            throw Fault($"'{symbol}' is expected, not {Current.Described}", Current);
    }

    private bool SkipName(string name)
    {
        var found = Current.IsName(name);
        index += found ? 1 : 0;
        return found;
    }

    private bool SkipOperator(string symbol)
    {
        var found = Current.IsOperator(symbol);
        index += found ? 1 : 0;
        return found;
    }

    private static ChatTemplateException Fault(string message, Token at) =>
        new(message, at.Position.Line, at.Position.Column, raisedByTemplate: false, inner: null);
}
