using Apache.Arrow;
using ModelOps.Storage;
using ModelOps.Tables.Delta;

namespace ModelOps.ObjectWriter;

/// <summary>One change of a Delta table, in which the process kills itself at a chosen step of what the store is asked to do.</summary>
internal static class KilledStep
{
    public static async Task RunAsync(string root, int step)
    {
        var store = new KillingStore(new FileObjectStore(root), step);
        var table = await DeltaTable.OpenAsync(store, "t") ?? throw new InvalidOperationException($"{root} has no table");
        await table.UpdateAsync("id < 10", new Dictionary<string, ColumnUpdate>(StringComparer.Ordinal)
        {
            ["text"] = rows =>
            {
                var texts = new StringArray.Builder();
                for (var i = 0; i < rows.Length; i++) texts.Append("new");
                return texts.Build();
            },
        });
    }
}
