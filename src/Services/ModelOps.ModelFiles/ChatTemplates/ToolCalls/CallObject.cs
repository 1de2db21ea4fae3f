using System.Text;
using System.Text.Json;

namespace ModelOps.ModelFiles.ChatTemplates.ToolCalls;

/// <summary>
/// Reads <c>{"name": …, "arguments": {…}}</c> character by character, in whatever order its members are, and lets the arguments go as they
/// come once the name is known.
/// </summary>
internal sealed class CallObject(IReadOnlySet<string> tools)
{
    private readonly JsonScanner scanner = new();
    private readonly StringBuilder key = new();
    private readonly StringBuilder value = new(); // of the name, or of arguments that cannot go yet
    private bool inKey;
    private bool inValue;
    private bool argumentsEnded;
    private string? keyText;
    private string? early; // arguments that came before the name

    public enum Step
    {
        More,

        /// <summary>This character, or one before, makes it no call of a tool; what was let go stays.</summary>
        Broken,
        Complete,
    }

    /// <summary>Null until it is known.</summary>
    public string? Name { get; private set; }

    /// <summary>Whether arguments were let go: it cannot become text any more.</summary>
    public bool Started { get; private set; }

    /// <param name="release">Takes a piece of the arguments.</param>
    public Step Accept(char next, Action<string> release)
    {
        var (expectedKey, expectedValue, depth) = (scanner.ExpectsKey, scanner.ExpectsValue, scanner.Depth);
        if (!scanner.Accept(next) || (depth == 0 && scanner.Depth == 1 && next != '{')) return Step.Broken;
        if (depth == 1 && !JsonScanner.IsSpace(next))
        {
            if (expectedKey && next == '"') BeginKey();
            if (expectedValue) inValue = true;
        }
        if (inKey) return ReadKey(next);
        if (!inValue) return scanner.IsComplete ? End(release) : Step.More;
        // A number or a literal may end by the character that follows it.
        var ended = scanner.Depth <= 1 && (scanner.IsBehindValue || scanner.ExpectsKey || scanner.IsComplete);
        var belongs = !ended || depth > 1 || next is not (',' or '}' or ' ' or '\t' or '\n' or '\r');
        if (belongs) ReadValue(next, release);
        if (ended && !EndValue(release)) return Step.Broken;
        return scanner.IsComplete ? End(release) : Step.More;
    }

    private bool IsArguments => keyText is "arguments" or "parameters";

    private void BeginKey()
    {
        inKey = true;
        key.Clear();
    }

    private Step ReadKey(char next)
    {
        key.Append(next);
        if (!scanner.ExpectsColon) return Step.More;
        inKey = false;
        keyText = Text(key);
        value.Clear();
        return (IsArguments && argumentsEnded) || (keyText == "name" && Name is not null) ? Step.Broken : Step.More;
    }

    private void ReadValue(char next, Action<string> release)
    {
        if (keyText != "name" && !IsArguments) return;
        value.Append(next);
        if (IsArguments && Name is not null && value[0] == '{') Release(release);
    }

    private bool EndValue(Action<string> release)
    {
        inValue = false;
        if (keyText == "name")
        {
            if (value[0] != '"' || Text(value) is not { } name || !tools.Contains(name)) return false;
            Name = name;
            if (early is not null) release(early);
            Started |= early is not null;
        }
        if (!IsArguments) return true;
        argumentsEnded = true;
        if (Started) return true;
        // A string that holds the object is how OpenAI's own API has it.
        var arguments = value[0] == '"' ? Text(value) : value.ToString();
        if (arguments == "null") arguments = "{}";
        if (arguments is null || !IsObject(arguments)) return false;
        if (Name is null)
        {
            early = arguments;
            return true;
        }
        release(arguments);
        Started = true;
        return true;
    }

    private Step End(Action<string> release)
    {
        if (Name is null) return Step.Broken;
        if (!argumentsEnded) release("{}");
        Started = true;
        return Step.Complete;
    }

    private void Release(Action<string> release)
    {
        // The opening bracket of the value stays in the buffer: it tells that the value is an object.
        release(Started ? value.ToString(1, value.Length - 1) : value.ToString());
        value.Length = 1;
        Started = true;
    }

    private static bool IsObject(string text)
    {
        var whole = new JsonScanner();
        return text.StartsWith('{') && text.All(whole.Accept) && whole.IsComplete;
    }

    /// <returns>Null: it escapes half of a surrogate pair.</returns>
    private static string? Text(StringBuilder json)
    {
        try
        {
            using var document = JsonDocument.Parse(json.ToString());
            return document.RootElement.GetString();
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            return null;
        }
    }
}
