using ModelOps.Workflows;
using Temporalio.Activities;

namespace ModelOps.Worker.Hosting;

/// <summary>
/// Tells the server how an activity goes, at most five times a second: the newest progress, and every line that is logged meanwhile. What the
/// server does not take is told again with the next report; of lines the last 1,000 are kept.
/// </summary>
internal sealed class ActivityReports : IProgress<ActivityProgress>, IAsyncDisposable
{
    private const int MostLines = 1000;
    private static readonly TimeSpan interval = TimeSpan.FromMilliseconds(200);
    private static readonly TimeSpan lastTry = TimeSpan.FromSeconds(2);
    private static readonly AsyncLocal<ActivityReports?> current = new();
    private readonly ServerConnection server;
    private readonly ActivityInfo activity;
    private readonly string worker;
    private readonly TimeProvider time;
    private readonly CancellationTokenSource ended = new();
    private readonly Lock gate = new();
    private readonly Task sending;
    private List<JobLogLine> lines = [];
    private ActivityProgress? progress = ActivityProgress.Of("starting");

    public ActivityReports(ServerConnection server, ActivityInfo activity, string worker, TimeProvider time)
    {
        (this.server, this.activity, this.worker, this.time) = (server, activity, worker, time);
        sending = SendAsync();
        current.Value = this;
    }

    /// <summary>Of the activity in whose flow this is asked; null outside of one.</summary>
    public static ActivityReports? Current => current.Value;

    public void Report(ActivityProgress value)
    {
        lock (gate) progress = value;
    }

    public void Add(JobLogLine line)
    {
        lock (gate)
        {
            if (lines.Count == MostLines) lines.RemoveAt(0);
            lines.Add(line);
        }
    }

    /// <summary>Tells the rest, for two seconds at most.</summary>
    public async ValueTask DisposeAsync()
    {
        await ended.CancelAsync();
        await sending;
        using var limit = new CancellationTokenSource(lastTry, time);
        await SendOnceAsync(limit.Token);
        ended.Dispose();
    }

    private async Task SendAsync()
    {
        using var timer = new PeriodicTimer(interval, time);
        do await SendOnceAsync(CancellationToken.None);
        while (await TickAsync(timer));
    }

    private async Task<bool> TickAsync(PeriodicTimer timer)
    {
        try
        {
            return await timer.WaitForNextTickAsync(ended.Token);
        }
        catch (OperationCanceledException)
        {
            return false;
        }
    }

    private async Task SendOnceAsync(CancellationToken cancellationToken)
    {
        JobReport report;
        lock (gate)
        {
            if (progress is null && lines.Count == 0) return;
            report = new(activity.ActivityType, activity.ActivityId, activity.Attempt, worker, progress, lines);
            (progress, lines) = (null, []);
        }
        try
        {
            await server.ReportAsync(activity.WorkflowId!, report, cancellationToken);
        }
        catch (Exception e) when (e is HttpRequestException or OperationCanceledException)
        {
            PutBack(report);
        }
    }

    private void PutBack(JobReport report)
    {
        lock (gate)
        {
            progress ??= report.Progress;
            lines = [.. report.Lines.Concat(lines).TakeLast(MostLines)];
        }
    }
}

/// <summary>Hands what is logged in an activity's flow to its reports.</summary>
internal sealed class ActivityLog(TimeProvider time) : ILoggerProvider
{
    public ILogger CreateLogger(string categoryName) => new Logger(time);

    public void Dispose()
    {
    }

    private sealed class Logger(TimeProvider time) : ILogger
    {
        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => logLevel >= LogLevel.Information && ActivityReports.Current is not null;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            if (!IsEnabled(logLevel)) return;
            var text = formatter(state, exception);
            ActivityReports.Current?.Add(new(time.GetUtcNow(), logLevel.ToString(), exception is null ? text : $"{text}: {exception.Message}"));
        }
    }
}
