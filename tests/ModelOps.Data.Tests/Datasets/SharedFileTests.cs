using ModelOps.Tables.Datasets.Queries;

namespace ModelOps.Data.Tests.Datasets;

public sealed class SharedFileTests : IDisposable
{
    private readonly TestIngestion ingestion = new();

    public void Dispose() => ingestion.Dispose();

    [Theory]
    [InlineData("sft/alpaca_en_demo.json", "json", "alpaca", "sft", 999, 985)]
    [InlineData("sft/identity.json", "json", "alpaca", "sft", 91, 91)]
    [InlineData("sft/gsm8k_train.jsonl", "jsonl", "question-answer", "sft", 7473, 7473)]
    [InlineData("sft/sharegpt_toolcall_demo.json", "json", "sharegpt", "sft", 300, 265)]
    [InlineData("sft/wiki_demo.txt", "text", "text", "text", 30, 30)]
    [InlineData("preference/dpo_en_demo.json", "json", "preference", "preference", 300, 295)]
    public async Task Run_FilesOfOthers_KeepsEveryRowOnce(string file, string format, string shape, string task, long read, long kept)
    {
        var ingested = await ingestion.IngestAsync(await File.ReadAllBytesAsync(SharedData.Find(file), TestIngestion.Cancel), fileName: Path.GetFileName(file));
        var report = ingested.Report;
        Assert.Equal((format, shape, task), (report.Source.Format, report.Source.Shape, report.Task));
        Assert.Equal((read, kept, read - kept, 0), (report.Rows.Read, report.Rows.Kept, report.Rows.ExactDuplicates, report.Rows.Quarantined));
        Assert.NotEqual(0, report.Splits["validation"]);
        var counted = await QueryTables.CountAsync(ingestion.Tables.Store, "d", ingested.TableVersions, TestIngestion.Cancel);
        Assert.All(report.Splits, split => Assert.Equal(split.Value, counted[split.Key]));
        Assert.Equal(kept, (await ingestion.RowsAsync(ingested)).Count);
    }

    [Fact]
    public async Task Run_ToolDialogues_KeepToolsAndCalls()
    {
        var ingested = await ingestion.IngestAsync(await File.ReadAllBytesAsync(SharedData.Find("sft/sharegpt_toolcall_demo.json"), TestIngestion.Cancel));
        var roles = ingested.Report.Statistics.MessagesByRole;
        Assert.Equal((652, 845, 193), (roles["user"], roles["assistant"], roles["tool"]));
        var rows = await ingestion.RowsAsync(ingested);
        Assert.Equal(193, rows.SelectMany(row => row.Messages).Count(message => message.ToolCalls is not null));
        Assert.Equal(ingested.Report.Statistics.RowsWithTools, rows.Count(row => row.Content.Tools is not null));
    }

    [Fact]
    public async Task Run_SameFileTwice_MakesTheSameRowsInANewVersion()
    {
        var file = await File.ReadAllBytesAsync(SharedData.Find("sft/identity.json"), TestIngestion.Cancel);
        var (first, second) = (await ingestion.IngestAsync(file), await ingestion.IngestAsync(file));
        Assert.Equal(await ingestion.SplitsByIdAsync(first), await ingestion.SplitsByIdAsync(second));
        Assert.All(second.TableVersions, table => Assert.Equal(first.TableVersions[table.Key] + 1, table.Value));
    }
}
