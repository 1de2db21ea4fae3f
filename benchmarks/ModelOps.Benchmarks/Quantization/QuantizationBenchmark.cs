using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using ModelOps.Ggml;
using ModelOps.ModelFiles;
using ModelOps.ModelFiles.Conversion;

namespace ModelOps.Benchmarks.Quantization;

/// <summary>Quantization to each type beside the bare call of llama.cpp, each in a process of its own so that its peak memory is its own.</summary>
internal static class QuantizationBenchmark
{
    private const string Own = "modelops";
    private const string Bare = "bare";

    public static Command Create()
    {
        var model = new Option<string>("--model") { Description = "Folder of the model, Hugging Face layout.", DefaultValueFactory = _ => "samples/models/wordsmith" };
        var types = new Option<QuantizationType[]>("--type")
        {
            Description = "Types to quantize to.",
            AllowMultipleArgumentsPerToken = true,
            DefaultValueFactory = _ => [QuantizationType.Q8_0, QuantizationType.Q6_K, QuantizationType.Q5_K_M, QuantizationType.Q4_K_M, QuantizationType.Q4_0, QuantizationType.IQ4_XS],
        };
        var rounds = new Option<int>("--rounds") { Description = "Processes per type and way; the median counts.", DefaultValueFactory = _ => 3 };
        var threads = new Option<int>("--threads") { Description = "CPU threads.", DefaultValueFactory = _ => 2 };
        var only = new Option<string?>("--case") { Description = "Quantize this way, alone and in this process, --model being a GGUF file." };
        only.AcceptOnlyFromAmong(Own, Bare);
        var command = new Command("quantize", "Time and memory of quantization, beside llama.cpp's own call.") { model, types, rounds, threads, only };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            if (parsed.GetValue(only) is { } way) Measure(way, parsed.GetRequiredValue(model), parsed.GetRequiredValue(types)[0], parsed.GetValue(threads));
            else await CompareAsync(parsed.GetRequiredValue(model), parsed.GetRequiredValue(types), parsed.GetValue(rounds), parsed.GetValue(threads), cancellationToken);
        });
        return command;
    }

    private static async Task CompareAsync(string model, QuantizationType[] types, int rounds, int threads, CancellationToken cancellationToken)
    {
        var work = Directory.CreateTempSubdirectory("modelops-quantize-");
        try
        {
            var source = Path.Combine(work.FullName, "source.gguf");
            GgufConversion.Convert(ModelFolder.Open(model), source, GgufWeightType.F32, new GgufDescription { Name = "source" }, cancellationToken);
            Console.WriteLine($"{new FileInfo(source).Length / 1e6:0} MB of F32, {threads} threads of {Environment.ProcessorCount} CPUs, median of {rounds}, .NET {Environment.Version}");
            foreach (var type in types)
            {
                var (own, bare) = (new List<Measurement>(), new List<Measurement>());
                for (var round = 0; round < rounds; round++)
                {
                    own.Add(await MeasureApartAsync(Own, source, type, threads, cancellationToken));
                    bare.Add(await MeasureApartAsync(Bare, source, type, threads, cancellationToken));
                }
                var (ours, theirs) = (Median(own), Median(bare));
                Console.WriteLine(string.Create(
                    CultureInfo.InvariantCulture,
                    $"{type}: {ours.Seconds:0.000} s and {ours.PeakBytes / 1e6:0} MB beside {theirs.Seconds:0.000} s and {theirs.PeakBytes / 1e6:0} MB, {ours.Seconds / theirs.Seconds:0.00} times the time"));
            }
        }
        finally
        {
            work.Delete(recursive: true);
        }
    }

    private static Measurement Median(List<Measurement> rounds) => rounds.OrderBy(round => round.Seconds).ElementAt(rounds.Count / 2);

    private static async Task<Measurement> MeasureApartAsync(string way, string source, QuantizationType type, int threads, CancellationToken cancellationToken)
    {
        var start = new ProcessStartInfo(Environment.ProcessPath!) { UseShellExecute = false, RedirectStandardOutput = true };
        foreach (var argument in (string[])["quantize", "--case", way, "--model", source, "--type", $"{type}", "--threads", $"{threads}"]) start.ArgumentList.Add(argument);
        using var child = Process.Start(start)!;
        var output = await child.StandardOutput.ReadToEndAsync(cancellationToken);
        await child.WaitForExitAsync(cancellationToken);
        return child.ExitCode == 0 && output.Split(' ') is [var seconds, var bytes]
            ? new(double.Parse(seconds, CultureInfo.InvariantCulture), long.Parse(bytes, CultureInfo.InvariantCulture))
            : throw new InvalidOperationException($"{way} {type} failed: {output}");
    }

    private static void Measure(string way, string source, QuantizationType type, int threads)
    {
        GgmlRuntime.Initialize();
        var target = Path.Combine(Path.GetDirectoryName(Path.GetFullPath(source))!, $"{way}-{type}.gguf");
        var start = Stopwatch.GetTimestamp();
        if (way == Own) GgufQuantizer.Quantize(source, target, type, threads);
        else BareCall.Quantize(source, target, type, threads);
        Console.Write(string.Create(CultureInfo.InvariantCulture, $"{Stopwatch.GetElapsedTime(start).TotalSeconds} {PeakBytes()}"));
    }

    /// <summary>Of this process since it began (VmHWM).</summary>
    private static long PeakBytes() => File.ReadLines("/proc/self/status").First(line => line.StartsWith("VmHWM:", StringComparison.Ordinal))
        .Split(' ', StringSplitOptions.RemoveEmptyEntries) is [_, var kibibytes, ..] ? long.Parse(kibibytes, CultureInfo.InvariantCulture) * 1024 : 0;

    private sealed record Measurement(double Seconds, long PeakBytes);

    /// <summary>llama_model_quantize with its defaults but for type and threads, and nothing around it.</summary>
    private static unsafe class BareCall
    {
        private const int ParameterBytes = 64;

        public static void Quantize(string source, string target, QuantizationType type, int threads)
        {
            var library = NativeLibrary.Load(Path.Combine(AppContext.BaseDirectory, "native", "llama", "libllama.v0.5.0.so"));
            var defaults = (delegate* unmanaged[Cdecl]<byte*, nint>)NativeLibrary.GetExport(library, "llama_model_quantize_default_params");
            var quantize = (delegate* unmanaged[Cdecl]<nint, nint, byte*, uint>)NativeLibrary.GetExport(library, "llama_model_quantize");
            var parameters = stackalloc byte[ParameterBytes];
            defaults(parameters);
            ((int*)parameters)[0] = threads;
            ((int*)parameters)[1] = (int)type;
            var (from, to) = (Marshal.StringToCoTaskMemUTF8(source), Marshal.StringToCoTaskMemUTF8(target));
            var result = quantize(from, to, parameters);
            Marshal.FreeCoTaskMem(from);
            Marshal.FreeCoTaskMem(to);
            if (result != 0) throw new InvalidOperationException($"llama_model_quantize gives {result}");
        }
    }
}
