using System.Security.Cryptography;
using ModelOps.Client;

namespace ModelOps.Cli.Output;

/// <summary>Every failure as a problem: the one place where exceptions get their type, and by it their exit code.</summary>
internal static class CliProblems
{
    public const string Canceled = "urn:modelops:problem:canceled";
    public const string JobFailed = "urn:modelops:problem:job-failed";
    public const string LocalFile = "urn:modelops:problem:local-file";

    public static Problem Of(Exception exception) => exception switch
    {
        ModelOpsException known => known.Problem,
        OperationCanceledException => new Problem { Type = Canceled, Title = "Canceled", Detail = "Canceled." },
        FileNotFoundException or DirectoryNotFoundException => new Problem
        {
            Type = ProblemTypes.NotFound,
            Title = "File not found",
            Detail = exception.Message,
        },
        UnauthorizedAccessException => new Problem { Type = ProblemTypes.Forbidden, Title = "Not allowed", Detail = exception.Message },
        InvalidDataException or IOException or CryptographicException => new Problem
        {
            Type = LocalFile,
            Title = "Local file",
            Detail = exception.Message,
        },
        _ => new Problem
        {
            Type = ProblemTypes.Internal,
            Title = "Unexpected failure",
            Detail = $"modelops failed unexpectedly ({exception.GetType().Name}: {exception.Message}). This is a bug: please report it with this line.",
        },
    };

    public static ModelOpsException Exception(string type, string title, string detail, IReadOnlyList<string>? errors = null) =>
        new(new Problem { Type = type, Title = title, Detail = detail, Errors = errors ?? [] });
}
