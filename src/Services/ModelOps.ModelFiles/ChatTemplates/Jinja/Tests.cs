using System.Collections.Frozen;

namespace ModelOps.ModelFiles.ChatTemplates.Jinja;

/// <summary>What <c>is</c> can ask.</summary>
internal static class Tests
{
    private static readonly FrozenDictionary<string, NativeFunction> tests = new NativeFunction[]
    {
        Of("defined", value => value is not Undefined),
        Of("undefined", value => value is Undefined),
        Of("none", value => value is null),
        Of("boolean", value => value is bool),
        Of("true", value => value is true),
        Of("false", value => value is false),
        Of("integer", value => value is long),
        Of("float", value => value is double),
        Of("number", Python.IsNumber),
        Of("string", value => value is string),
        Of("mapping", value => value is Mapping),
        Of("sequence", value => value is string or List<object?> or JinjaTuple or Mapping or Undefined),
        Of("iterable", value => value is string or List<object?> or JinjaTuple or Mapping or Undefined),
        Of("callable", value => value is ICallable),
        Of("lower", value => PythonText.Of(value) is var text && text.Any(char.IsLower) && !text.Any(char.IsUpper)),
        Of("upper", value => PythonText.Of(value) is var text && text.Any(char.IsUpper) && !text.Any(char.IsLower)),
        Of("odd", value => Remainder(value, 2) == 1),
        Of("even", value => Remainder(value, 2) == 0),
        Of("filter", value => value is string name && Filters.Find(name) is not null),
        Of("test", value => value is string name && Find(name) is not null),
        new("divisibleby", "num", (_, value, arguments) => Remainder(value, arguments.Integer(0, 1)) == 0),
        new("in", "seq", (context, value, arguments) => Python.Contains(context, arguments[0], value)),
        new("sameas", "other", (_, value, arguments) => value is bool or long or double ? value.Equals(arguments[0]) : ReferenceEquals(value, arguments[0])),
        new("eq", "other", (_, value, arguments) => Python.AreEqual(value, arguments[0])),
        new("ne", "other", (_, value, arguments) => !Python.AreEqual(value, arguments[0])),
        new("lt", "other", (_, value, arguments) => Python.Compare(value, arguments[0]) < 0),
        new("le", "other", (_, value, arguments) => Python.Compare(value, arguments[0]) <= 0),
        new("gt", "other", (_, value, arguments) => Python.Compare(value, arguments[0]) > 0),
        new("ge", "other", (_, value, arguments) => Python.Compare(value, arguments[0]) >= 0),
    }.ToFrozenDictionary(test => test.Name);

    private static readonly FrozenDictionary<string, string> aliases = new Dictionary<string, string>
    {
        ["equalto"] = "eq",
        ["=="] = "eq",
        ["!="] = "ne",
        ["<"] = "lt",
        ["lessthan"] = "lt",
        ["<="] = "le",
        [">"] = "gt",
        ["greaterthan"] = "gt",
        [">="] = "ge",
    }.ToFrozenDictionary();

    public static NativeFunction? Find(string name) => tests.GetValueOrDefault(aliases.GetValueOrDefault(name, name));

    private static NativeFunction Of(string name, Func<object?, bool> test) => new(name, "", (_, value, _) => test(value));

    private static long Remainder(object? value, long divisor)
    {
        if (!Python.TryWhole(value, out var number))
            throw new TemplateFault(value is Undefined undefined ? undefined.Message : $"an integer is needed, not '{Python.TypeName(value)}'");
        return divisor == 0 ? throw new TemplateFault("division by zero") : divisor == -1 ? 0 : Math.Abs(number % divisor);
    }
}
