using System.Runtime.InteropServices;
using System.Text.RegularExpressions;
using ModelOps.Ggml.Native;

namespace ModelOps.Ggml;

/// <summary>Quantizes GGUF files by llama.cpp.</summary>
public static unsafe partial class GgufQuantizer
{
    /// <summary>Writes <paramref name="target"/> whole or not at all; one that exists is replaced.</summary>
    /// <param name="source">A GGUF file of F32, F16 or BF16 weights.</param>
    /// <param name="importance">Of the source's matrices; null: all columns count alike.</param>
    /// <param name="threads">How many compute.</param>
    /// <remarks>The native call cannot be interrupted: cancellation is seen before it and before the file gets its name.</remarks>
    /// <exception cref="FileNotFoundException">There is no source.</exception>
    /// <exception cref="DirectoryNotFoundException">There is no folder for the target.</exception>
    /// <exception cref="ArgumentException">Source and target are the same file.</exception>
    /// <exception cref="GgmlException">The source is broken or quantized already, the type needs an importance matrix, or llama.cpp failed;
    /// nothing was written.</exception>
    public static QuantizationSummary Quantize(
        string source, string target, QuantizationType type, int threads, ImportanceMatrix? importance = null, CancellationToken cancellationToken = default)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(threads, 1);
        if (!Enum.IsDefined(type)) throw new ArgumentOutOfRangeException(nameof(type), type, "No such quantization type.");
        if (Path.GetFullPath(source) == Path.GetFullPath(target))
            throw new ArgumentException($"{target} would overwrite its own source.", nameof(target));
        if (!Directory.Exists(Path.GetDirectoryName(Path.GetFullPath(target))))
            throw new DirectoryNotFoundException($"There is no folder to write {target} into.");
        if (importance is null && type.NeedsImportanceMatrix()) throw new GgmlException($"{type} needs an importance matrix: give a dataset to compute it from.");
        cancellationToken.ThrowIfCancellationRequested();
        GgmlRuntime.Initialize();
        CheckSource(source);

        var partial = $"{target}.{Guid.NewGuid():N}.partial";
        try
        {
            var fallbacks = Run(source, partial, type, threads, importance);
            var summary = Summarize(partial, fallbacks);
            cancellationToken.ThrowIfCancellationRequested();
            using (var file = File.OpenHandle(partial, FileMode.Open, FileAccess.ReadWrite)) RandomAccess.FlushToDisk(file);
            File.Move(partial, target, overwrite: true);
            return summary;
        }
        finally
        {
            File.Delete(partial);
        }
    }

    private static void CheckSource(string source)
    {
        var quantized = GgufHeader.Read(source).FirstOrDefault(tensor => tensor.BlockSize > 1);
        if (quantized is not null)
            throw new GgmlException(
                $"{source} is quantized already ({quantized.Name} is {quantized.Type}): quantize from its F32, F16 or BF16 source.");
    }

    private static List<QuantizationFallback> Run(string source, string target, QuantizationType type, int threads, ImportanceMatrix? importance)
    {
        using var columns = new NativeImportance(importance);
        var parameters = NativeLlama.QuantizeDefaults();
        parameters.FileType = (int)type;
        parameters.Threads = threads;
        parameters.ImportanceMatrix = columns.Pointer;
        var result = NativeLog.Capture(() => Native(source, target, parameters), out var problems);
        if (result != 0) throw new GgmlException($"llama.cpp cannot quantize {source} to {type}: {NativeLog.Reason(problems)}");
        return [.. problems.Select(line => FallbackLine().Match(line)).Where(match => match.Success).Select(Fallback)];
    }

    private static uint Native(string source, string target, QuantizeParams parameters) =>
        NativeLlama.Quantize(source, target, &parameters);

    /// <summary>An importance matrix as llama.cpp takes it: a list that ends with an entry without a name.</summary>
    private sealed class NativeImportance : IDisposable
    {
        private readonly List<nint> allocated = [];

        public NativeImportance(ImportanceMatrix? importance)
        {
            if (importance is null) return;
            var entries = new Span<ImportanceData>((void*)Allocate((importance.Matrices.Count + 1) * sizeof(ImportanceData)), importance.Matrices.Count + 1);
            Pointer = allocated[0];
            entries[^1] = default;
            foreach (var (index, (name, columns)) in importance.Matrices.Index())
            {
                var values = columns.MeanSquares();
                var utf8 = Marshal.StringToCoTaskMemUTF8(name);
                allocated.Add(utf8);
                entries[index] = new() { Name = utf8, Values = Allocate(values.Length * sizeof(float)), Count = (nuint)values.Length };
                Marshal.Copy(values, 0, entries[index].Values, values.Length);
            }
        }

        /// <summary>0 where there is none.</summary>
        public nint Pointer { get; }

        public void Dispose()
        {
            foreach (var memory in allocated) Marshal.FreeCoTaskMem(memory);
        }

        private nint Allocate(int bytes)
        {
            allocated.Add(Marshal.AllocCoTaskMem(bytes));
            return allocated[^1];
        }
    }

    // Which type a tensor should have had is known to llama.cpp's recipe alone, and its log is where it says so.
    [GeneratedRegex(
        @"(?<tensor>\S+) +- ncols +(?<row>\d+) not divisible by +(?<block>\d+) \(required for type +(?<wanted>\w+)\).*" +
        @"falling back to +(?<type>\w+)",
        RegexOptions.ExplicitCapture | RegexOptions.CultureInvariant, matchTimeoutMilliseconds: 1000)]
    private static partial Regex FallbackLine();

    private static QuantizationFallback Fallback(Match line) => new(
        line.Groups["tensor"].Value,
        long.Parse(line.Groups["row"].ValueSpan),
        int.Parse(line.Groups["block"].ValueSpan),
        line.Groups["wanted"].Value,
        line.Groups["type"].Value);

    private static QuantizationSummary Summarize(string path, IReadOnlyList<QuantizationFallback> fallbacks)
    {
        var tensors = GgufHeader.Read(path);
        return new(
            new FileInfo(path).Length,
            8.0 * tensors.Sum(tensor => tensor.Size) / tensors.Sum(tensor => tensor.Elements),
            tensors.GroupBy(tensor => tensor.Type).OrderBy(group => group.Key, StringComparer.Ordinal)
                .ToDictionary(group => group.Key, group => group.Count()),
            fallbacks);
    }
}
