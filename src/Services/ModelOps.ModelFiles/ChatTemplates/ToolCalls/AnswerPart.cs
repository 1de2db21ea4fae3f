namespace ModelOps.ModelFiles.ChatTemplates.ToolCalls;

/// <summary>A piece of what a model answers.</summary>
public abstract record AnswerPart
{
    private AnswerPart()
    {
    }

    public sealed record Content(string Text) : AnswerPart;

    /// <summary>What it thought, without the marks around it.</summary>
    public sealed record Reasoning(string Text) : AnswerPart;

    /// <param name="Index">Of the answer's calls, from 0.</param>
    public sealed record Call(int Index, string Name) : AnswerPart;

    /// <summary>Arguments of a call that has begun: all of its pieces make one JSON object, unless the answer was cut.</summary>
    public sealed record Arguments(int Index, string Json) : AnswerPart;
}
