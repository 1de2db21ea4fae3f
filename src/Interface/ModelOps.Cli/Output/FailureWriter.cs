using System.Text.Json;

namespace ModelOps.Cli.Output;

/// <summary>Says on stderr what failed and turns it into the exit code. With <c>--json</c> it is one problem document.</summary>
internal sealed class FailureWriter(TextWriter error, bool asJson)
{
    public int Write(Exception exception)
    {
        var problem = CliProblems.Of(exception);
        if (asJson)
        {
            error.WriteLine(JsonSerializer.Serialize(problem, JsonOutput.Wire.Problem));
            return ExitCodes.Of(problem);
        }
        error.WriteLine(problem.Type == CliProblems.Canceled ? problem.Detail : $"error: {problem.Detail ?? problem.Title}");
        foreach (var fault in problem.Errors)
        {
            error.WriteLine($"  - {fault}");
        }
        return ExitCodes.Of(problem);
    }
}
