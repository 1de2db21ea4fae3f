using Spectre.Console;

namespace ModelOps.Cli.Output;

/// <summary>Tables of plain text: what users named is never read as markup.</summary>
internal static class TextTable
{
    public static Table Create(bool isTerminal, params string[] columns)
    {
        var table = new Table { Border = isTerminal ? TableBorder.Rounded : TableBorder.None };
        foreach (var (index, column) in columns.Index())
        {
            // Where the terminal is narrow the last column gives way, and the others stay readable.
            table.AddColumn(new TableColumn(new Text(column)) { NoWrap = index < columns.Length - 1 });
        }
        return table;
    }

    public static void AddTextRow(this Table table, params string[] cells) => table.AddRow(cells.Select(cell => new Text(cell)));
}
