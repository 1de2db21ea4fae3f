using System.ComponentModel;
using System.Diagnostics;
using System.Text.Json;
using ModelOps.Cli.Output;
using ModelOps.Cli.Serving;
using ModelOps.Client;

namespace ModelOps.Cli.Doctor;

/// <summary>What a server started now would run with. The server's program says it; none has to run.</summary>
internal sealed record EffectiveConfiguration(bool Valid, IReadOnlyList<ConfiguredValue> Values, IReadOnlyList<string> Errors)
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    /// <returns>Null when no server is installed.</returns>
    public static async Task<EffectiveConfiguration?> ReadAsync(Installation installation, Home home, CancellationToken cancellationToken)
    {
        if (installation.Server is not { } program)
        {
            return null;
        }
        var start = new ProcessStartInfo(program, ["config", "show", "--home", home.Folder])
        {
            UseShellExecute = false,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(Patience);
        try
        {
            using var process = Process.Start(start)!;
            await using var ended = limit.Token.Register(() => process.Kill(entireProcessTree: true));
            var errors = process.StandardError.ReadToEndAsync(limit.Token);
            var output = await process.StandardOutput.ReadToEndAsync(limit.Token);
            await process.WaitForExitAsync(limit.Token);
            return process.ExitCode == 0 && JsonSerializer.Deserialize(output, CliJson.Default.EffectiveConfiguration) is { } configuration
                ? configuration
                : Unreadable(program, (await errors).Trim());
        }
        catch (Exception exception) when (exception is Win32Exception or JsonException)
        {
            return Unreadable(program, exception.Message);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return Unreadable(program, $"no answer within {Patience.TotalSeconds:0} s");
        }
    }

    private static EffectiveConfiguration Unreadable(string program, string why) => new(false, [], [$"{program} does not tell its configuration: {why}"]);
}
