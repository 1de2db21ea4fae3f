namespace ModelOps.ModelFiles.ChatTemplates.ToolCalls;

/// <summary>How a model writes that it calls a tool.</summary>
public enum ToolCallStyle
{
    /// <summary>Hermes, Qwen: <c>&lt;tool_call&gt;{"name": …, "arguments": {…}}&lt;/tool_call&gt;</c>, any number of them.</summary>
    Hermes,

    /// <summary>Llama 3: <c>{"name": …, "parameters": {…}}</c> as the whole answer or behind <c>&lt;|python_tag|&gt;</c>; several with <c>;</c> between.</summary>
    Llama,

    /// <summary>Mistral: <c>[TOOL_CALLS][{"name": …, "arguments": {…}}, …]</c>, and of newer models <c>[TOOL_CALLS]name[ARGS]{…}</c>.</summary>
    Mistral,

    /// <summary>Functionary 3.1, Llama 3.1 with custom tools: <c>&lt;function=name&gt;{…}&lt;/function&gt;</c>.</summary>
    Functionary,
}

/// <summary>What a chat template shows of how its model answers.</summary>
/// <param name="ToolCalls">Null: the template renders no tools, or calls in a way that is not known here.</param>
/// <param name="RendersTools">Whether the template reads the variable <c>tools</c>.</param>
/// <param name="MarksReasoning">Whether it knows <c>&lt;think&gt;</c> blocks.</param>
public sealed record AnswerStyle(ToolCallStyle? ToolCalls, bool RendersTools, bool MarksReasoning)
{
    public const string ThinkStart = "<think>";
    public const string ThinkEnd = "</think>";

    /// <param name="template">Jinja source; its literals are what it writes into the prompt.</param>
    public static AnswerStyle Of(string template)
    {
        bool Has(string literal) => template.Contains(literal, StringComparison.Ordinal);
        ToolCallStyle? calls =
            Has("[TOOL_CALLS]") ? ToolCallStyle.Mistral
            : Has("<tool_call>") ? ToolCallStyle.Hermes
            : Has("<function=") ? ToolCallStyle.Functionary
            : Has("<|python_tag|>") || (Has("\"name\":") && Has("\"parameters\":")) ? ToolCallStyle.Llama
            : null;
        var rendersTools = Has("tools");
        return new(rendersTools ? calls : null, rendersTools, Has(ThinkEnd));
    }
}
