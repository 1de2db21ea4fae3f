using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using ModelOps.Client;

namespace ModelOps.Cli.Datasets;

/// <summary>The flags of <c>datasets create</c>: what is not given is the server's default.</summary>
internal sealed class IngestionFlags
{
    private readonly Option<string?> format = Choice(
        "--format", "FORMAT", "What the file is", "from its content", ["jsonl", "json", "csv", "tsv", "parquet", "text"]);

    private readonly Option<string?> shape = Choice(
        "--shape", "SHAPE", "What the rows are", "from the first ones",
        ["chat", "sharegpt", "alpaca", "prompt-completion", "question-answer", "preference", "kto", "text"]);

    private readonly Option<string[]> map = new("--map")
    {
        Description = "A column of the file and the known name that it stands for; may be repeated",
        HelpName = "OWN=KNOWN",
    };

    private readonly Option<double?> validation = Share("--validation", "Share of the rows in the validation split [default: 0.05]");
    private readonly Option<double?> test = Share("--test", "Share of the rows in the test split [default: 0.05]");

    private readonly Option<string?> maxBad = new("--max-bad")
    {
        Description = "Bad rows allowed, a count or a percentage [default: 5%]",
        HelpName = "N|P%",
    };

    private readonly Option<string?> pii = Choice("--pii", "MODE", "Personal data and secrets", "off", ["off", "report", "mask"]);

    private readonly Option<string?> nearDuplicates = Choice(
        "--near-duplicates", "MODE", "Rows much like an earlier one", "report", ["off", "report", "remove"]);

    private readonly Option<string?> tokenizer = new("--tokenizer")
    {
        Description = "Model whose tokenizer counts the rows' tokens, name or name@version [default: they are not counted]",
        HelpName = "MODEL",
    };

    public IngestionFlags()
    {
        map.Validators.Add(result => Expect(result, text => text.Split('=') is [{ Length: > 0 }, { Length: > 0 }], "written OWN=KNOWN"));
        maxBad.Validators.Add(result => Expect(result, IsLimit, "a count like 10 or a percentage like 5%"));
    }

    public IReadOnlyList<Option> All => [format, shape, map, validation, test, maxBad, pii, nearDuplicates, tokenizer];

    /// <returns>null: no flag was given.</returns>
    public IngestionOptions? Read(Invocation invocation)
    {
        var names = invocation.Get(map) is { Length: > 0 } pairs
            ? pairs.Select(pair => pair.Split('=')).GroupBy(pair => pair[0], StringComparer.Ordinal).ToDictionary(own => own.Key, own => own.Last()[1], StringComparer.Ordinal)
            : null;
        var options = new IngestionOptions
        {
            Format = invocation.Get(format),
            Shape = invocation.Get(shape),
            Map = names,
            Validation = invocation.Get(validation),
            Test = invocation.Get(test),
            MaxBad = invocation.Get(maxBad),
            Pii = invocation.Get(pii),
            NearDuplicates = invocation.Get(nearDuplicates),
            Tokenizer = invocation.Get(tokenizer),
        };
        return options == new IngestionOptions() ? null : options;
    }

    private static Option<string?> Choice(string name, string helpName, string description, string byDefault, string[] values)
    {
        var option = new Option<string?>(name) { Description = $"{description}: {string.Join(", ", values)} [default: {byDefault}]", HelpName = helpName };
        return option.AcceptOnlyFromAmong(values);
    }

    private static Option<double?> Share(string name, string description)
    {
        var option = new Option<double?>(name) { Description = description, HelpName = "SHARE" };
        option.Validators.Add(result => Expect(
            result, text => double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var share) && share is >= 0 and <= 1, "between 0 and 1"));
        return option;
    }

    private static bool IsLimit(string text) => text.EndsWith('%')
        ? double.TryParse(text[..^1], NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var percent) && percent <= 100
        : long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out _);

    private static void Expect(OptionResult result, Func<string, bool> isValid, string what)
    {
        foreach (var token in result.Tokens.Where(token => !isValid(token.Value)))
        {
            result.AddError($"{result.Option.Name} '{token.Value}' must be {what}.");
        }
    }
}
