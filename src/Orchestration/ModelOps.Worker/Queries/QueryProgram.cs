using System.Globalization;
using System.Text.Json;
using ModelOps.Tables.Datasets;
using ModelOps.Tables.Datasets.Queries;

namespace ModelOps.Worker.Queries;

/// <summary>
/// <c>ModelOps.Worker query MEMORY FILE</c>: a process that answers one query or looks into one file, with limits of bytes that the operating system
/// keeps. A request is a line of JSON on standard input, its answer one on standard output.
/// </summary>
internal static class QueryProgram
{
    public static async Task<int> RunAsync(string[] args, TextReader input, TextWriter output)
    {
        if (args is not [_, var memoryText, var fileText]
            || !long.TryParse(memoryText, CultureInfo.InvariantCulture, out var memory) || !long.TryParse(fileText, CultureInfo.InvariantCulture, out var file))
        {
            await Console.Error.WriteLineAsync("usage: ModelOps.Worker query MEMORY FILE, both in bytes");
            return 2;
        }
        ProcessLimits.Apply(memory, file);
        using var engine = new QueryEngine(memory);
        while (await input.ReadLineAsync() is { } line)
        {
            var answer = JsonSerializer.Deserialize(line, QueryJson.Default.QueryRequest)! switch
            {
                { Preview: { } preview } => await LookIntoAsync(preview),
                { Run: { } query } => engine.Run(query, CancellationToken.None),
                var request => engine.Understand(request.Understand!),
            };
            await output.WriteLineAsync(JsonSerializer.Serialize(answer, QueryJson.Default.QueryAnswer));
            await output.FlushAsync();
        }
        return 0;
    }

    private static async Task<QueryAnswer> LookIntoAsync(FilePreview file)
    {
        await using var content = File.OpenRead(file.Path);
        return new QueryAnswer.Previewed(await DatasetIngestion.PreviewAsync(content, file.Request, CancellationToken.None));
    }
}
