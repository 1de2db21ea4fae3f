namespace ModelOps.ModelFiles.ChatTemplates.ToolCalls;

/// <summary>Follows one JSON object or array (RFC 8259) character by character: whether the next one may follow, and when it is complete.</summary>
internal sealed class JsonScanner
{
    private readonly Stack<char> open = new();
    private State state = State.Value;
    private string literal = ""; // what is still to come of true, false or null
    private int hexDigits;
    private bool isKey;

    private enum State
    {
        Value,
        ValueOrEnd,
        KeyOrEnd,
        Key,
        Colon,
        String,
        Escape,
        Hex,
        Minus,
        Zero,
        Integer,
        Point,
        Fraction,
        Exponent,
        ExponentSign,
        ExponentDigits,
        Literal,
        AfterValue,
        Complete,
    }

    /// <summary>Objects and arrays that are open.</summary>
    public int Depth => open.Count;

    public bool IsComplete => state == State.Complete;

    /// <summary>Whether the next character that is no whitespace begins the value of a member or an element.</summary>
    public bool ExpectsValue => state == State.Value;

    /// <summary>Whether the next character that is no whitespace begins a key.</summary>
    public bool ExpectsKey => state is State.Key or State.KeyOrEnd;

    /// <summary>Whether a value has ended and what separates it from the next, or ends its object or array, comes.</summary>
    public bool IsBehindValue => state == State.AfterValue;

    public bool ExpectsColon => state == State.Colon;

    /// <returns>Whether the character may follow; if not, nothing has changed.</returns>
    public bool Accept(char next)
    {
        switch (state)
        {
            case State.Value or State.ValueOrEnd:
                if (IsSpace(next)) return true;
                return state == State.ValueOrEnd && next == ']' ? Close('[') : Begin(next);
            case State.KeyOrEnd or State.Key:
                if (IsSpace(next)) return true;
                if (state == State.KeyOrEnd && next == '}') return Close('{');
                return next == '"' && BeginString(key: true);
            case State.Colon:
                return IsSpace(next) || (next == ':' && Go(State.Value));
            case State.String:
                if (next == '"') return Go(isKey ? State.Colon : State.AfterValue);
                return next == '\\' ? Go(State.Escape) : next >= ' ';
            case State.Escape:
                hexDigits = 0;
                return next == 'u' ? Go(State.Hex) : "\"\\/bfnrt".Contains(next, StringComparison.Ordinal) && Go(State.String);
            case State.Hex:
                return char.IsAsciiHexDigit(next) && (++hexDigits < 4 || Go(State.String));
            case State.Literal:
                if (next != literal[0]) return false;
                literal = literal[1..];
                return literal.Length > 0 || Go(State.AfterValue);
            case State.AfterValue:
                return AcceptBehindValue(next);
            case State.Complete:
                return false;
            default:
                return AcceptInNumber(next);
        }
    }

    public static bool IsSpace(char letter) => letter is ' ' or '\t' or '\n' or '\r';

    private bool Begin(char first) => first switch
    {
        '{' => Open(first, State.KeyOrEnd),
        '[' => Open(first, State.ValueOrEnd),
        _ when open.Count == 0 => false,
        '"' => BeginString(key: false),
        't' => BeginLiteral("rue"),
        'f' => BeginLiteral("alse"),
        'n' => BeginLiteral("ull"),
        '-' => Go(State.Minus),
        '0' => Go(State.Zero),
        >= '1' and <= '9' => Go(State.Integer),
        _ => false,
    };

    private bool AcceptInNumber(char next)
    {
        var digit = char.IsAsciiDigit(next);
        switch (state)
        {
            case State.Minus:
                return digit && Go(next == '0' ? State.Zero : State.Integer);
            case State.Integer when digit:
                return true;
            case State.Zero or State.Integer when next == '.':
                return Go(State.Point);
            case State.Point or State.Fraction when digit:
                return Go(State.Fraction);
            case State.Zero or State.Integer or State.Fraction when next is 'e' or 'E':
                return Go(State.Exponent);
            case State.Exponent when next is '+' or '-':
                return Go(State.ExponentSign);
            case State.Exponent or State.ExponentSign or State.ExponentDigits when digit:
                return Go(State.ExponentDigits);
            case State.Zero or State.Integer or State.Fraction or State.ExponentDigits:
                return AcceptBehindValue(next);
            default:
                return false;
        }
    }

    private bool AcceptBehindValue(char next) => next switch
    {
        ',' => Go(open.Peek() == '{' ? State.Key : State.Value),
        '}' => Close('{'),
        ']' => Close('['),
        _ => IsSpace(next) && Go(State.AfterValue),
    };

    private bool Open(char bracket, State inside)
    {
        open.Push(bracket);
        return Go(inside);
    }

    private bool Close(char bracket)
    {
        if (open.Peek() != bracket) return false;
        open.Pop();
        return Go(open.Count == 0 ? State.Complete : State.AfterValue);
    }

    private bool BeginString(bool key)
    {
        isKey = key;
        return Go(State.String);
    }

    private bool BeginLiteral(string rest)
    {
        literal = rest;
        return Go(State.Literal);
    }

    private bool Go(State next)
    {
        state = next;
        return true;
    }
}
