using System.Text;
using ModelOps.Data.Tests.Delta;
using ModelOps.Tables.Datasets;

namespace ModelOps.Data.Tests.Datasets;

public sealed class IngestionFuzzTests : IDisposable
{
    private readonly TestTables tables = new();

    public void Dispose() => tables.Dispose();

    /// <summary>Whatever the bytes: an outcome, never an exception; every row is counted once and what was kept reads back.</summary>
    [Theory]
    [InlineData(false, 100)]
    [InlineData(true, 300)]
    public async Task Run_AnyBytes_IsAnOutcomeThatAccountsForEveryRow(bool asArray, int rounds)
    {
        string[] rows =
        [
            """{"messages":[{"role":"user","content":"é😀\u00e9"},{"role":"assistant","content":"a\\\"b"}]}""",
            """{"messages":[{"role":"system","content":"s"},{"role":"user","content":[{"type":"text","text":"t"}]},{"role":"assistant","content":null,"tool_calls":[{"function":{"name":"f","arguments":"{}"}}]}]}""",
            """{"messages":[{"role":"user","content":"x"},{"role":"assistant","content":"y"}],"tools":[]}""",
        ];
        var original = Encoding.UTF8.GetBytes(asArray ? $"[{string.Join(",\n", rows)}]" : string.Join('\n', rows));
        var random = new Random(21);
        var (kept, refused) = (0, 0);
        for (var round = 0; round < rounds; round++)
        {
            var dataset = $"d{round}";
            var outcome = await DatasetIngestion.RunAsync(
                new() { Source = new MemoryStream(Mutation.Of(original, random)), FileName = "f", Dataset = dataset, Tables = tables.Store, MaxRejected = 1 },
                progress: null, TestTables.Cancel);
            if (outcome is IngestionOutcome.Ingested ingested)
            {
                kept++;
                Assert.Equal(ingested.RejectedRows, ingested.Rejections.Count);
                foreach (var (split, version) in ingested.TableVersions)
                    Assert.Equal(ingested.Rows[split], await DatasetReader.ReadAsync(tables.Store, dataset, split, version, TestTables.Cancel).LongCountAsync(TestTables.Cancel));
            }
            else
            {
                refused++;
                Assert.All(Assert.IsType<IngestionOutcome.Rejected>(outcome).Errors, error => Assert.NotEqual("", error));
            }
        }
        Assert.True(kept > 10 && refused > 10, $"{kept} kept, {refused} refused: one side is hardly tried");
    }
}
