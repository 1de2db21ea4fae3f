using System.Diagnostics;
using System.Text.RegularExpressions;

namespace ModelOps.Data.Tests.Storage;

/// <summary>moto's S3 in a process of its own. Where it is not installed the tests are skipped, and fail where CI is set.</summary>
public sealed partial class MotoServer : IAsyncLifetime
{
    private const string Missing = "S3 tests need moto: ./test --install";
    private readonly HttpClient http = new();
    private Process? process;
    private string? url;

    public string Url => url ?? throw Absent();

    public async ValueTask InitializeAsync()
    {
        var start = new ProcessStartInfo(Python(), ["-u", "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"])
        {
            UseShellExecute = false,
            RedirectStandardError = true,
            RedirectStandardOutput = true,
        };
        var address = new TaskCompletionSource<string?>(TaskCreationOptions.RunContinuationsAsynchronously);
        try
        {
            process = Process.Start(start)!;
        }
        catch (System.ComponentModel.Win32Exception)
        {
            return;
        }
        process.OutputDataReceived += (_, _) => { };
        process.ErrorDataReceived += (_, line) =>
        {
            if (line.Data is null) address.TrySetResult(null);
            else if (Address().Match(line.Data) is { Success: true } match) address.TrySetResult(match.Value);
        };
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        url = await address.Task.WaitAsync(TimeSpan.FromSeconds(60), TestContext.Current.CancellationToken);
    }

    /// <summary>Empties the server, so that each test begins with no bucket.</summary>
    public async Task ResetAsync(CancellationToken cancellationToken)
    {
        using var answer = await http.PostAsync(new Uri(Url + "/moto-api/reset"), content: null, cancellationToken);
        answer.EnsureSuccessStatusCode();
    }

    public async ValueTask DisposeAsync()
    {
        http.Dispose();
        if (process is null) return;
        if (!process.HasExited) process.Kill();
        await process.WaitForExitAsync();
        process.Dispose();
    }

    private static InvalidOperationException Absent()
    {
        if (Environment.GetEnvironmentVariable("CI") != "true") Assert.Skip(Missing);
        return new(Missing);
    }

    /// <summary>The one that `./test --install` made below the repository, else the system's.</summary>
    private static string Python()
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            var own = Path.Combine(folder.FullName, "artifacts/tools/moto/bin/python");
            if (File.Exists(own)) return own;
        }
        return "python3";
    }

    [GeneratedRegex(@"http://127\.0\.0\.1:\d+", RegexOptions.NonBacktracking)]
    private static partial Regex Address();
}
