using System.Text;

namespace ModelOps.ModelFiles.ChatTemplates.ToolCalls;

/// <summary>
/// Takes an answer apart as it comes: reasoning, text, and calls of tools. It works character by character: how the text is cut into pieces
/// changes nothing. What begins like a call and is none, or names no tool that was offered, is text; nothing is lost.
/// </summary>
/// <param name="style">How calls are written; null: the answer has none.</param>
/// <param name="tools">Names of the tools that were offered.</param>
/// <param name="reasoning">Whether it may begin with thoughts.</param>
/// <param name="promptOpensReasoning">Whether the prompt ended behind <c>&lt;think&gt;</c>: the answer begins within it.</param>
public sealed class AnswerParser(ToolCallStyle? style, IReadOnlySet<string> tools, bool reasoning, bool promptOpensReasoning = false)
{
    private const int LongestName = 128;

    private readonly string? marker = tools.Count == 0 ? null : style switch
    {
        ToolCallStyle.Hermes => "<tool_call>",
        ToolCallStyle.Llama => "<|python_tag|>",
        ToolCallStyle.Mistral => "[TOOL_CALLS]",
        ToolCallStyle.Functionary => "<function=",
        _ => null,
    };

    private readonly string closing = style switch
    {
        ToolCallStyle.Hermes => "</tool_call>",
        ToolCallStyle.Functionary => "</function>",
        ToolCallStyle.Llama => ";",
        _ => "",
    };

    private readonly List<AnswerPart> parts = [];
    private readonly StringBuilder space = new(); // at the beginning, or between calls: part of the text only if text follows
    private readonly StringBuilder held = new(); // may yet become a mark
    private readonly StringBuilder raw = new(); // of a call that has not begun, as the model wrote it
    private readonly StringBuilder name = new();
    private State state = promptOpensReasoning ? State.ReasoningSpace : reasoning ? State.Start : State.ContentStart;
    private CallObject? call;
    private JsonScanner? bare; // of arguments whose name came before them
    private int calls;
    private bool inList;
    private bool announced; // whether the call that is being read can no longer become text
    private bool afterReasoning;

    private enum State
    {
        Start,
        ReasoningSpace,
        Reasoning,
        ContentStart,
        Content,
        CallStart,
        Name,
        Call,
        BareArguments,
        CallEnd,
        ListEnd,
    }

    public bool HasCalls { get; private set; }

    public IReadOnlyList<AnswerPart> Append(string text)
    {
        parts.Clear();
        foreach (var next in text) Accept(next);
        return [.. parts];
    }

    /// <summary>What was held back, once no more comes.</summary>
    public IReadOnlyList<AnswerPart> End()
    {
        parts.Clear();
        switch (state)
        {
            case State.Reasoning:
                Reason(held.ToString().TrimEnd());
                break;
            case State.ReasoningSpace or State.CallEnd or State.ListEnd when held.Length == 0:
                break;
            case State.CallStart or State.Name or State.Call or State.BareArguments:
                if (!announced) Say(raw.ToString());
                break;
            case State.Start or State.ContentStart when held.Length == 0 && HasCalls:
                break;
            default:
                Say($"{space}{held}");
                break;
        }
        return [.. parts];
    }

    private void Accept(char next)
    {
        switch (state)
        {
            case State.Start:
                AcceptAtStart(next);
                break;
            case State.ReasoningSpace when !JsonScanner.IsSpace(next):
                state = State.Reasoning;
                AcceptReasoning(next);
                break;
            case State.Reasoning:
                AcceptReasoning(next);
                break;
            case State.ContentStart or State.Content:
                AcceptContent(next);
                break;
            case State.CallStart:
                AcceptCallStart(next);
                break;
            case State.Name:
                AcceptName(next);
                break;
            case State.Call:
                AcceptCall(next);
                break;
            case State.BareArguments:
                AcceptBareArguments(next);
                break;
            case State.CallEnd:
                AcceptCallEnd(next);
                break;
            case State.ListEnd:
                AcceptListEnd(next);
                break;
        }
    }

    private void AcceptAtStart(char next)
    {
        if (held.Length == 0 && JsonScanner.IsSpace(next))
        {
            space.Append(next);
            return;
        }
        held.Append(next);
        if (IsHeld(AnswerStyle.ThinkStart))
        {
            held.Clear();
            space.Clear();
            state = State.ReasoningSpace;
        }
        else if (!MayBecome(AnswerStyle.ThinkStart))
        {
            state = State.ContentStart;
            AcceptAgain();
        }
    }

    private void AcceptReasoning(char next)
    {
        held.Append(next);
        var text = held.ToString();
        if (text.EndsWith(AnswerStyle.ThinkEnd, StringComparison.Ordinal))
        {
            Reason(text[..^AnswerStyle.ThinkEnd.Length].TrimEnd());
            held.Clear();
            state = State.ContentStart;
            space.Clear();
            afterReasoning = true;
            return;
        }
        var free = text.Length - HeldBack(text, AnswerStyle.ThinkEnd);
        while (free > 0 && JsonScanner.IsSpace(text[free - 1])) free--; // space before the end mark is no thought
        Reason(text[..free]);
        held.Remove(0, free);
    }

    private void AcceptContent(char next)
    {
        if (state == State.ContentStart && held.Length == 0 && JsonScanner.IsSpace(next))
        {
            if (!afterReasoning) space.Append(next);
            return;
        }
        if (state == State.ContentStart && held.Length == 0 && next == '{' && style == ToolCallStyle.Llama && marker is not null)
        {
            BeginCall($"{space}");
            AcceptCallStart(next);
            return;
        }
        held.Append(next);
        if (marker is not null && IsHeld(marker))
        {
            BeginCall($"{space}{held}");
            return;
        }
        if (marker is not null && MayBecome(marker)) return;
        Say($"{space}{held[0]}");
        space.Clear();
        held.Remove(0, 1);
        state = State.Content;
        AcceptAgain();
    }

    private void BeginCall(string written)
    {
        space.Clear();
        held.Clear();
        raw.Clear().Append(written);
        name.Clear();
        inList = false;
        state = style == ToolCallStyle.Functionary ? State.Name : State.CallStart;
        announced = false;
    }

    private void AcceptCallStart(char next)
    {
        if (next == '{')
        {
            (call, state) = (new CallObject(tools), State.Call);
            AcceptCall(next);
            return;
        }
        if (style == ToolCallStyle.Mistral && !inList && next == '[')
        {
            raw.Append(next);
            inList = true;
            return;
        }
        if (style == ToolCallStyle.Mistral && !inList && !JsonScanner.IsSpace(next))
        {
            state = State.Name;
            AcceptName(next);
            return;
        }
        if (JsonScanner.IsSpace(next)) raw.Append(next);
        else GiveUp(next);
    }

    // <function=name>{…} and [TOOL_CALLS]name{…}, [TOOL_CALLS]name[ARGS]{…}.
    private void AcceptName(char next)
    {
        if (style == ToolCallStyle.Functionary ? next == '>' : next == '{')
        {
            var written = name.ToString().Split('[')[0].Trim(); // behind it may stand [CALL_ID]… and [ARGS]
            name.Clear().Append(written);
            if (!tools.Contains(written))
            {
                GiveUp(next);
                return;
            }
            (bare, state) = (new JsonScanner(), State.BareArguments);
            if (style == ToolCallStyle.Functionary) raw.Append(next);
            else AcceptBareArguments(next);
            return;
        }
        if (name.Length > LongestName || next is '\n' or '<')
        {
            GiveUp(next);
            return;
        }
        name.Append(next);
        raw.Append(next);
    }

    private void AcceptCall(char next)
    {
        var step = call!.Accept(next, json => Argue(call.Name!, json));
        if (step == CallObject.Step.Broken)
        {
            GiveUp(next);
            return;
        }
        raw.Append(next);
        if (step == CallObject.Step.Complete) EndCall();
    }

    private void AcceptBareArguments(char next)
    {
        if (!bare!.Accept(next) || (!announced && bare.Depth == 1 && next != '{'))
        {
            GiveUp(next);
            return;
        }
        raw.Append(next);
        if (bare.Depth == 0 && !bare.IsComplete) return; // space before the object
        Argue(name.ToString(), $"{next}");
        if (bare.IsComplete) EndCall();
    }

    private void EndCall()
    {
        held.Clear();
        state = inList ? State.ListEnd : closing.Length > 0 ? State.CallEnd : State.ContentStart;
        calls++;
        afterReasoning = false;
    }

    private void AcceptCallEnd(char next)
    {
        if (held.Length == 0 && JsonScanner.IsSpace(next))
        {
            space.Append(next);
            return;
        }
        held.Append(next);
        if (MayBecome(closing) && !IsHeld(closing)) return;
        state = State.ContentStart;
        if (!IsHeld(closing))
        {
            AcceptAgain();
            return;
        }
        held.Clear();
        space.Clear();
    }

    private void AcceptListEnd(char next)
    {
        switch (next)
        {
            case ',':
                raw.Clear().Append(next);
                announced = false;
                state = State.CallStart;
                break;
            case ']':
                space.Clear();
                state = State.ContentStart;
                break;
            case var letter when JsonScanner.IsSpace(letter):
                space.Append(next);
                break;
            default:
                state = State.ContentStart;
                AcceptContent(next);
                break;
        }
    }

    /// <summary>It is no call. If it has begun as one, it ends here and what follows is text; else all of it is.</summary>
    private void GiveUp(char next)
    {
        if (announced) calls++;
        else Say(raw.ToString());
        state = State.Content;
        AcceptContent(next);
    }

    private void AcceptAgain()
    {
        var again = held.ToString();
        held.Clear();
        foreach (var next in again) Accept(next);
    }

    private void Argue(string called, string json)
    {
        if (!announced) parts.Add(new AnswerPart.Call(calls, called));
        (announced, HasCalls) = (true, true);
        if (parts is [.., AnswerPart.Arguments before]) parts[^1] = before with { Json = before.Json + json };
        else parts.Add(new AnswerPart.Arguments(calls, json));
    }

    private void Say(string text)
    {
        if (text.Length == 0) return;
        if (parts is [.., AnswerPart.Content before]) parts[^1] = new AnswerPart.Content(before.Text + text);
        else parts.Add(new AnswerPart.Content(text));
    }

    private void Reason(string text)
    {
        if (text.Length == 0) return;
        if (parts is [.., AnswerPart.Reasoning before]) parts[^1] = new AnswerPart.Reasoning(before.Text + text);
        else parts.Add(new AnswerPart.Reasoning(text));
    }

    private bool IsHeld(string mark) => held.Length == mark.Length && held.Equals(mark);

    private bool MayBecome(string mark) => held.Length <= mark.Length && mark.AsSpan(0, held.Length).SequenceEqual(held.ToString());

    /// <returns>The length of the longest end of the text with which the mark begins.</returns>
    private static int HeldBack(string text, string mark)
    {
        for (var length = Math.Min(mark.Length - 1, text.Length); length > 0; length--)
            if (text.EndsWith(mark[..length], StringComparison.Ordinal)) return length;
        return 0;
    }
}
