using Microsoft.Extensions.Logging;

namespace ModelOps.Ggml;

internal static partial class GgmlLog
{
    [LoggerMessage(EventId = 7000, Level = LogLevel.Information, Message = "llama.cpp {Version} (ggml {Commit}) on {Devices}")]
    public static partial void RuntimeStarted(this ILogger logger, string version, string commit, string devices);

    [LoggerMessage(EventId = 7001, Message = "llama.cpp: {Line}")]
    public static partial void Native(this ILogger logger, LogLevel level, string line);

    [LoggerMessage(EventId = 7002, Level = LogLevel.Error, Message = "The batching engine stopped: its {Requests} requests failed")]
    public static partial void EngineFailed(this ILogger logger, Exception exception, int requests);

    [LoggerMessage(EventId = 7003, Level = LogLevel.Error, Message = "Decoding {Tokens} tokens failed: {Requests} requests end")]
    public static partial void StepFailed(this ILogger logger, Exception exception, int tokens, int requests);
}
