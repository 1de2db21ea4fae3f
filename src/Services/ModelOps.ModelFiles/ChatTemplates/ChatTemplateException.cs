namespace ModelOps.ModelFiles.ChatTemplates;

/// <summary>A chat template that cannot be parsed, or cannot render what it was given.</summary>
public sealed class ChatTemplateException : Exception
{
    internal ChatTemplateException(string message, int line, int column, bool raisedByTemplate, Exception? inner)
        : base(raisedByTemplate ? message : $"Chat template, line {line}, column {column}: {message}", inner)
    {
        Line = line;
        Column = column;
        RaisedByTemplate = raisedByTemplate;
    }

    /// <summary>Counted from 1.</summary>
    public int Line { get; }

    /// <summary>Counted from 1.</summary>
    public int Column { get; }

    /// <summary>Whether the template itself refused, with <c>raise_exception</c>; the message is then the template's, unchanged.</summary>
    public bool RaisedByTemplate { get; }
}
