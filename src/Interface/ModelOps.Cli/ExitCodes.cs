using ModelOps.Cli.Output;
using ModelOps.Client;

namespace ModelOps.Cli;

/// <summary>The exit codes and what leads to each.</summary>
public static class ExitCodes
{
    public const int Done = 0;
    public const int Failed = 1;
    public const int Usage = 2;
    public const int NotFound = 3;
    public const int NotAllowed = 4;
    public const int Conflict = 5;
    public const int VerificationFailed = 6;
    public const int Unreachable = 7;
    /// <summary>128 + SIGINT, as shells have it.</summary>
    public const int Canceled = 130;

    public static int Of(Problem problem) => problem.Type switch
    {
        ProblemTypes.Invalid or ProblemTypes.Malformed or ProblemTypes.TooLarge or ProblemTypes.UnsupportedMediaType
            or ProblemTypes.MethodNotAllowed => Usage,
        ProblemTypes.NotFound => NotFound,
        ProblemTypes.Unauthorized or ProblemTypes.Forbidden or ProblemTypes.GatesNotMet or ProblemTypes.QuotaExceeded => NotAllowed,
        ProblemTypes.Conflict => Conflict,
        ProblemTypes.VerificationFailed => VerificationFailed,
        ProblemTypes.Unavailable or ProblemTypes.TooManyRequests or ProblemTypes.RequestTimeout => Unreachable,
        CliProblems.Canceled => Canceled,
        _ => Failed,
    };
}
