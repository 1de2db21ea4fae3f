using System.Globalization;
using System.Text;
using ModelOps.Temporal.Visibility;
using Temporalio.Api.Enums.V1;
using Temporalio.Api.Workflow.V1;

namespace ModelOps.Temporal.Tests.Visibility;

/// <summary>Random filters over random runs: the database finds what a naive evaluation in memory, in SQL's logic of three values, finds.</summary>
public sealed class VisibilityPropertyTests
{
    private const int Runs = 60;
    private const int Queries = 1500;

    private static readonly string[] words = ["", "a", "b", "ab", "o'neil", "\"q\"", "back\\slash", "ä😀", "Z", "%_", "null", "1"];
    private static readonly WorkflowExecutionStatus[] statuses = [WorkflowExecutionStatus.Running, WorkflowExecutionStatus.Completed, WorkflowExecutionStatus.Failed];

    private readonly Random random = new(17);

    [Fact]
    public void List_RandomFilters_FindWhatANaiveEvaluationFinds()
    {
        using var table = new TestTable();
        var runs = Enumerable.Range(0, Runs).Select(Row).ToList();
        foreach (var run in runs) table.Put(run.Info);
        var matched = 0;
        for (var i = 0; i < Queries; i++)
        {
            var (text, holds) = Filter(depth: 3);
            var wanted = runs.Where(run => holds(run) == true).Select(run => run.Info.Execution.RunId).Order().ToList();
            var found = table.List(text, size: random.Next(1, Runs)).Order().ToList();
            Assert.True(wanted.SequenceEqual(found), $"{text}\nwanted {string.Join(' ', wanted)}\nfound  {string.Join(' ', found)}");
            Assert.Equal(wanted.Count, table.Count(text));
            if (wanted.Count is > 0 and < Runs) matched++;
        }
        Assert.True(matched > Queries / 4, $"only {matched} filters told runs apart");
    }

    /// <summary>Whatever the text: a query that the database runs, or an error with a position.</summary>
    [Fact]
    public void Parse_AnyText_RunsOrSaysWhere()
    {
        using var table = new TestTable();
        table.Put(Row(0).Info);
        var (ran, refused) = (0, 0);
        for (var i = 0; i < 4000; i++)
        {
            var text = Damage(Filter(depth: 2).Text + (random.Next(4) == 0 ? " ORDER BY StartTime DESC" : ""));
            try
            {
                table.List(text);
                ran++;
            }
            catch (VisibilityException e)
            {
                Assert.Matches("^invalid query: (position [0-9]+: .+|GROUP BY is for counts, not for lists)$", e.Message.ReplaceLineEndings(" "));
                refused++;
            }
        }
        Assert.True(ran > 200 && refused > 200, $"{ran} ran, {refused} were refused: one side is hardly tried");
    }

    private sealed record RunRow(WorkflowExecutionInfo Info, string? Customer, long? Count, double? Score, bool? Urgent, IReadOnlyList<string>? Tags)
    {
        public long? Closed => Info.CloseTime is null ? null : Info.CloseTime.Seconds;
    }

    private RunRow Row(int number)
    {
        var row = new RunRow(TestTable.Info($"run-{number:00}"), Maybe(Word), Maybe(() => (long)random.Next(-3, 4)), Maybe(() => random.Next(-3, 4) / 2.0), Maybe(() => random.Next(2) == 0),
            random.Next(3) == 0 ? null : [.. Enumerable.Range(0, random.Next(1, 4)).Select(_ => Word())]);
        var info = TestTable.Info($"run-{number:00}",
            [.. Attribute("Customer", IndexedValueType.Keyword, row.Customer), .. Attribute("Count", IndexedValueType.Int, row.Count), .. Attribute("Score", IndexedValueType.Double, row.Score),
            .. Attribute("Urgent", IndexedValueType.Bool, row.Urgent), .. Attribute("Tags", IndexedValueType.KeywordList, row.Tags)]);
        info.Status = statuses[random.Next(statuses.Length)];
        info.Execution.WorkflowId = Word();
        info.StartTime = Day(random.Next(5));
        if (info.Status != WorkflowExecutionStatus.Running) info.CloseTime = Day(5 + random.Next(5));
        return row with { Info = info };
    }

    private static IEnumerable<(string, IndexedValueType, string)> Attribute(string name, IndexedValueType type, object? value) =>
        value is null ? [] : [(name, type, System.Text.Json.JsonSerializer.Serialize(value))];

    private string Word() => words[random.Next(words.Length)];

    private T? Maybe<T>(Func<T> value) where T : struct => random.Next(3) == 0 ? null : value();

    private string? Maybe(Func<string> value) => random.Next(3) == 0 ? null : value();

    private (string Text, Func<RunRow, bool?> Holds) Filter(int depth)
    {
        if (depth == 0 || random.Next(4) == 0) return Condition();
        var (left, right) = (Filter(depth - 1), Filter(depth - 1));
        return random.Next(3) switch
        {
            0 => ($"NOT ({left.Text})", run => !left.Holds(run)),
            1 => ($"({left.Text}) AND ({right.Text})", run => left.Holds(run) & right.Holds(run)),
            _ => ($"({left.Text} OR {right.Text})", run => left.Holds(run) | right.Holds(run)),
        };
    }

    private (string Text, Func<RunRow, bool?> Holds) Condition() => random.Next(7) switch
    {
        0 => Texts("WorkflowId", run => run.Info.Execution.WorkflowId),
        1 => Texts("Customer", run => run.Customer),
        2 => Numbers("Count", run => run.Count, () => random.Next(-3, 4)),
        3 => Numbers("Score", run => run.Score, () => random.Next(-6, 7) / 2.0),
        4 => Times("StartTime", run => run.Info.StartTime.Seconds),
        5 => Times("CloseTime", run => run.Closed),
        _ => Other(),
    };

    private (string Text, Func<RunRow, bool?> Holds) Texts(string field, Func<RunRow, string?> of)
    {
        var (first, second) = (Word(), Word());
        return random.Next(7) switch
        {
            0 => ($"{field} IS NOT NULL", run => of(run) is not null),
            1 => ($"{field} STARTS_WITH {Quote(first)}", run => of(run)?.StartsWith(first, StringComparison.Ordinal)),
            2 => ($"{field} NOT STARTS_WITH {Quote(first)}", run => !of(run)?.StartsWith(first, StringComparison.Ordinal)),
            3 => ($"{field} IN ({Quote(first)}, {Quote(second)})", run => of(run) is { } value ? value == first || value == second : null),
            4 => ($"{field} BETWEEN {Quote(first)} AND {Quote(second)}", run => of(run) is null ? null : Order(of(run), first) >= 0 && Order(of(run), second) <= 0),
            5 => ($"{field} IS NULL", run => of(run) is null),
            _ => Compared(field, Quote(first), run => Order(of(run), first)),
        };
    }

    private (string Text, Func<RunRow, bool?> Holds) Numbers(string field, Func<RunRow, double?> of, Func<double> pick)
    {
        var (first, second) = (pick(), pick());
        var (a, b) = (first.ToString(CultureInfo.InvariantCulture), second.ToString(CultureInfo.InvariantCulture));
        return random.Next(4) switch
        {
            0 => ($"{field} NOT IN ({a}, {b})", run => of(run) is { } value ? !(value == first || value == second) : null),
            1 => ($"{field} NOT BETWEEN {a} AND {b}", run => of(run) is { } value ? !(value >= first && value <= second) : null),
            2 => ($"{field} IS NOT NULL", run => of(run) is not null),
            _ => Compared(field, a, run => of(run)?.CompareTo(first)),
        };
    }

    private (string Text, Func<RunRow, bool?> Holds) Times(string field, Func<RunRow, long?> of)
    {
        var time = Day(random.Next(10));
        return random.Next(3) == 0
            ? ($"{field} IS NULL", run => of(run) is null)
            : Compared(field, random.Next(2) == 0 ? $"'{time.ToDateTime():yyyy-MM-dd'T'HH:mm:ss'Z'}'" : $"{time.Seconds}000000000", run => of(run)?.CompareTo(time.Seconds));
    }

    private (string Text, Func<RunRow, bool?> Holds) Other()
    {
        var word = Word();
        var status = statuses[random.Next(statuses.Length)];
        return random.Next(5) switch
        {
            0 => ($"Tags = {Quote(word)}", run => run.Tags?.Contains(word)),
            1 => ($"Tags != {Quote(word)}", run => !run.Tags?.Contains(word)),
            2 => ($"Tags NOT IN ({Quote(word)}, 'a')", run => run.Tags is { } tags ? !(tags.Contains(word) || tags.Contains("a")) : null),
            3 => ("Urgent = true", run => run.Urgent),
            _ => ($"ExecutionStatus != '{status}'", run => run.Info.Status != status),
        };
    }

    private (string Text, Func<RunRow, bool?> Holds) Compared(string field, string value, Func<RunRow, int?> order) => random.Next(6) switch
    {
        0 => ($"{field} = {value}", run => order(run) is { } o ? o == 0 : null),
        1 => ($"{field} != {value}", run => order(run) is { } o ? o != 0 : null),
        2 => ($"{field} < {value}", run => order(run) is { } o ? o < 0 : null),
        3 => ($"{field}<={value}", run => order(run) is { } o ? o <= 0 : null),
        4 => ($"{field} > {value}", run => order(run) is { } o ? o > 0 : null),
        _ => ($"`{field}`>={value}", run => order(run) is { } o ? o >= 0 : null),
    };

    /// <summary>As SQLite does: by the bytes of UTF-8.</summary>
    private static int? Order(string? value, string other) => value is null ? null : Encoding.UTF8.GetBytes(value).AsSpan().SequenceCompareTo(Encoding.UTF8.GetBytes(other));

    private string Quote(string text) => random.Next(2) == 0
        ? $"'{text.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("'", "''", StringComparison.Ordinal)}'"
        : $"\"{text.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\"", "\\\"", StringComparison.Ordinal)}\"";

    private string Damage(string text)
    {
        for (var i = random.Next(3); i > 0 && text.Length > 0; i--)
        {
            var at = random.Next(text.Length);
            text = random.Next(4) switch
            {
                0 => text.Remove(at, Math.Min(random.Next(1, 5), text.Length - at)),
                1 => text.Insert(at, $"{(char)random.Next(1, 0x180)}"),
                2 => text.Insert(at, ((string[])[" AND ", "(", ")", "'", " NOT ", "\"", ",", "1e", "\\", " IN ", "GROUP BY ExecutionStatus"])[random.Next(11)]),
                _ => text[..at],
            };
        }
        return text;
    }

    private static Google.Protobuf.WellKnownTypes.Timestamp Day(int number) => new() { Seconds = 1_767_225_600 + (number * 86_400L) };
}
