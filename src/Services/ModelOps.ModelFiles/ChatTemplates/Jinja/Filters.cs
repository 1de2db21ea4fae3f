using System.Collections.Frozen;

namespace ModelOps.ModelFiles.ChatTemplates.Jinja;

/// <summary>What stands after a bar. Text filters, those of sequences, and those of numbers are in files of their own.</summary>
internal static class Filters
{
    private static readonly FrozenDictionary<string, NativeFunction> filters = ((NativeFunction[])
    [
        .. TextFilters.All,
        .. SequenceFilters.All,
        .. NumberFilters.All,
        new("default", "default_value? boolean?", Default),
        new("d", "default_value? boolean?", Default),
        new("tojson", "ensure_ascii? indent? separators? sort_keys?", TemplateJson.Filter),
        new("attr", "name", (_, value, arguments) => Python.Attribute(value, arguments.Text(0))),
    ]).ToFrozenDictionary(filter => filter.Name);

    public static NativeFunction? Find(string name) => filters.GetValueOrDefault(name);

    private static object? Default(RenderContext context, object? value, Arguments arguments) =>
        value is Undefined || (arguments.Flag(1) && !Python.IsTrue(value)) ? (arguments.Has(0) ? arguments[0] : "") : value;
}
