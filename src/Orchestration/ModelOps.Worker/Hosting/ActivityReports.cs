using System.Diagnostics;
using ModelOps.Workflows;
using Temporalio.Activities;

namespace ModelOps.Worker.Hosting;

/// <summary>
/// Tells the server how an activity goes, at most five times a second: the newest progress, every message, and every line that is logged meanwhile;
/// points of series once a second, for each report with some is a transaction there. What the server does not take is told again with the next
/// report; of lines the last 1,000 are kept, of points the last 100,000.
/// </summary>
internal sealed class ActivityReports : IProgress<ActivityProgress>, IAsyncDisposable
{
    private const int MostLines = 1000;
    private const int MostPoints = 100_000;
    private const int PointsPerReport = 1000;
    private static readonly TimeSpan interval = TimeSpan.FromMilliseconds(200);
    private static readonly TimeSpan pointsInterval = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan lastTry = TimeSpan.FromSeconds(2);
    private static readonly AsyncLocal<ActivityReports?> current = new();
    private readonly ServerConnection server;
    private readonly ActivityInfo activity;
    private readonly string worker;
    private readonly TimeProvider time;
    private readonly CancellationTokenSource ended = new();
    private readonly Lock gate = new();
    private readonly SemaphoreSlim turn = new(1);
    private readonly Task sending;
    private readonly StageSpans stages;
    private List<JobLogLine> lines = [];
    private List<string> messages = [];
    private List<MetricPoint> points = [];
    private long pointsSent;
    private ActivityProgress? progress = ActivityProgress.Of("starting");

    public ActivityReports(ServerConnection server, ActivityInfo activity, string worker, StageSpans stages, TimeProvider time)
    {
        (this.server, this.activity, this.worker, this.stages, this.time) = (server, activity, worker, stages, time);
        sending = SendAsync();
        current.Value = this;
    }

    /// <summary>Of the activity in whose flow this is asked; null outside of one.</summary>
    public static ActivityReports? Current => current.Value;

    public void Report(ActivityProgress value)
    {
        lock (gate)
        {
            progress = value;
            stages.Report(value);
            if (value.Message is not null) messages.Add(value.Message);
            if (value is { IsPoint: true, Metrics.Count: > 0 }) points.Add(new(value.Step, time.GetUtcNow(), value.Metrics));
        }
    }

    public void Add(JobLogLine line)
    {
        lock (gate)
        {
            if (lines.Count == MostLines) lines.RemoveAt(0);
            lines.Add(line);
        }
    }

    /// <summary>The points that the server has not taken yet.</summary>
    public IReadOnlyList<MetricPoint> Untold
    {
        get
        {
            lock (gate) return [.. points];
        }
    }

    /// <summary>Points of an earlier try that the server did not take then.</summary>
    public void TakeUp(IReadOnlyList<MetricPoint> earlier)
    {
        lock (gate) points = [.. earlier, .. points];
    }

    /// <summary>Tells all that there is now: behind this it is not lost with this process.</summary>
    /// <returns>False: the server did not take it.</returns>
    public async Task<bool> TellAsync(CancellationToken cancellationToken)
    {
        await turn.WaitAsync(CancellationToken.None); // the server has its patience
        try
        {
            int left;
            lock (gate) left = points.Count; // not those that come meanwhile: there may be no end of them
            do
            {
                if (!await SendAsync(everything: true, cancellationToken)) return false;
                left -= PointsPerReport;
            }
            while (left > 0);
            return true;
        }
        finally
        {
            turn.Release();
        }
    }

    /// <summary>Tells the rest, for two seconds at most.</summary>
    public async ValueTask DisposeAsync()
    {
        await ended.CancelAsync();
        await sending;
        using var limit = new CancellationTokenSource(lastTry, time);
        await TellAsync(limit.Token);
        ended.Dispose();
        turn.Dispose();
    }

    private async Task SendAsync()
    {
        using var timer = new PeriodicTimer(interval, time);
        do await SendInTurnAsync();
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

    private async Task SendInTurnAsync()
    {
        await turn.WaitAsync(CancellationToken.None);
        try
        {
            await SendAsync(everything: false, CancellationToken.None);
        }
        finally
        {
            turn.Release();
        }
    }

    /// <returns>False: the server did not take it.</returns>
    private async Task<bool> SendAsync(bool everything, CancellationToken cancellationToken)
    {
        JobReport report;
        lock (gate)
        {
            var due = DuePoints(everything);
            if (progress is null && lines.Count + messages.Count + due.Count == 0) return true;
            report = new(activity.ActivityType, activity.ActivityId, activity.Attempt, worker, progress, lines, messages, due);
            (progress, lines, messages) = (null, [], []);
            points.RemoveRange(0, due.Count);
        }
        try
        {
            await server.ReportAsync(activity.WorkflowId!, report, cancellationToken);
            return true;
        }
        catch (Exception e) when (e is HttpRequestException or OperationCanceledException)
        {
            PutBack(report);
            return false;
        }
    }

    private void PutBack(JobReport report)
    {
        lock (gate)
        {
            progress ??= report.Progress;
            lines = [.. report.Lines.Concat(lines).TakeLast(MostLines)];
            messages = [.. report.Messages!, .. messages];
            points = [.. report.Points!.Concat(points).TakeLast(MostPoints)];
        }
    }

    private List<MetricPoint> DuePoints(bool everything)
    {
        var now = time.GetTimestamp();
        if (!everything && time.GetElapsedTime(pointsSent, now) < pointsInterval) return [];
        pointsSent = now;
        return points[..Math.Min(points.Count, PointsPerReport)];
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
            var span = Activity.Current;
            ActivityReports.Current?.Add(new(
                time.GetUtcNow(), logLevel.ToString(), exception is null ? text : $"{text}: {exception.Message}", span?.TraceId.ToHexString(), span?.SpanId.ToHexString()));
        }
    }
}
