using ModelOps.ModelFiles.ChatTemplates.Jinja;

namespace ModelOps.ModelFiles.ChatTemplates;

/// <summary>How far a template may go before it is stopped: a template is a program that comes with a model from elsewhere.</summary>
public sealed record ChatTemplateLimits
{
    public const int DefaultSteps = 10_000_000;
    public const int DefaultCharacters = 100_000_000;

    /// <summary>Expressions evaluated and statements run.</summary>
    /// <value>The default value is ten million, about a second.</value>
    public int Steps { get; init; } = DefaultSteps;

    /// <summary>Characters and list items made, intermediate ones included.</summary>
    /// <value>The default value is a hundred million.</value>
    public int Characters { get; init; } = DefaultCharacters;
}

/// <summary>
/// A compiled chat template: Jinja as transformers runs it (Jinja 3.1, sandboxed and immutable, <c>trim_blocks</c> and
/// <c>lstrip_blocks</c>, loop controls, <c>generation</c> blocks). Safe to share between threads; parse once, keep, render often.
/// </summary>
public sealed class ChatTemplate
{
    private readonly Block body;
    private readonly TimeProvider time;
    private readonly ChatTemplateLimits limits;

    private ChatTemplate(Block body, bool marksGeneration, TimeProvider time, ChatTemplateLimits limits)
    {
        this.body = body;
        this.time = time;
        this.limits = limits;
        MarksGeneration = marksGeneration;
    }

    /// <summary>Whether the template has <c>generation</c> blocks, which say what the assistant wrote.</summary>
    public bool MarksGeneration { get; }

    /// <param name="time">The clock of <c>strftime_now</c>; the system's by default.</param>
    /// <exception cref="ChatTemplateException">The source is not a valid template.</exception>
    public static ChatTemplate Parse(string source, TimeProvider? time = null, ChatTemplateLimits? limits = null)
    {
        var parser = new Parser(new Lexer(source).Read());
        return new ChatTemplate(parser.ParseTemplate(), parser.HasGenerationBlocks, time ?? TimeProvider.System, limits ?? new ChatTemplateLimits());
    }

    /// <exception cref="ChatTemplateException">The template refused the input, failed on it or went beyond its limits.</exception>
    public RenderedChat Render(ChatTemplateInput input)
    {
        var context = new RenderContext(TemplateVariables.Of(input), time, limits);
        try
        {
            context.Run(body);
        }
        catch (TemplateFault fault)
        {
            throw new ChatTemplateException(fault.Message, context.Position.Line, context.Position.Column, fault is RaisedFault, fault);
        }
        return new RenderedChat(context.Output.ToString(), context.GenerationSpans);
    }
}
