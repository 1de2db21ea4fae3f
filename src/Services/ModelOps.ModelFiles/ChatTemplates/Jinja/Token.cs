using System.Runtime.InteropServices;

namespace ModelOps.ModelFiles.ChatTemplates.Jinja;

internal enum TokenKind
{
    Data,
    OutputBegin,
    OutputEnd,
    BlockBegin,
    BlockEnd,
    Name,
    Text,
    Integer,
    Float,
    Operator,
    End,
}

/// <summary>Both counted from 1.</summary>
[StructLayout(LayoutKind.Auto)]
internal readonly record struct Position(int Line, int Column);

/// <param name="Text">What the token means: escapes resolved, digits without underscores.</param>
internal sealed record Token(TokenKind Kind, string Text, Position Position)
{
    public bool IsName(string name) => Kind == TokenKind.Name && Text == name;

    public bool IsOperator(string symbol) => Kind == TokenKind.Operator && Text == symbol;

    public string Described => Kind switch
    {
        TokenKind.End => "the end of the template",
        TokenKind.BlockEnd => "'%}'",
        TokenKind.OutputEnd => "'}}'",
        _ => $"'{Text}'",
    };
}
