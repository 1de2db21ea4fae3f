using System.Runtime.CompilerServices;
using System.Runtime.ExceptionServices;
using System.Runtime.InteropServices;
using ModelOps.Ggml.Native;

namespace ModelOps.Ggml;

/// <summary>
/// Computes texts and watches what the matrices of the layers are multiplied with, as llama.cpp's <c>llama-imatrix</c> does it: by a callback
/// that sees each product. The output layer is left out as there. For one thread at a time.
/// </summary>
public sealed unsafe class ImportanceCollector : IDisposable
{
    private const int ChunkTokens = 512;

    private readonly Dictionary<string, Sums> sums = [];
    private readonly LlamaContext context;
    private readonly LlamaVocabulary vocabulary;
    private readonly int multiplication;
    private readonly int contextSize;
    private GCHandle self;
    private int texts;
    private long tokenCount;
    private Exception? fault;

    /// <exception cref="InvalidOperationException">The model has no weights loaded, or does not continue texts.</exception>
    /// <exception cref="GgmlException">llama.cpp cannot make the context.</exception>
    public ImportanceCollector(LlamaModel model, int threads)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(threads, 1);
        _ = model.Weights;
        multiplication = TensorLayout.Multiplication;
        contextSize = Math.Min(ChunkTokens, model.ContextLength);
        vocabulary = model.Vocabulary;
        self = GCHandle.Alloc(this);
        try
        {
            delegate* unmanaged[Cdecl]<Tensor*, byte, nint, byte> observe = &Observe;
            context = new LlamaContext(model, new ContextShape(contextSize, 1, contextSize, 1, threads, GgmlType.F32, FlashAttention: false)
            {
                Observer = ((nint)observe, GCHandle.ToIntPtr(self)),
            });
        }
        catch
        {
            self.Free();
            throw;
        }
    }

    /// <summary>Computes a text; of a longer one than 512 tokens, or than the model takes, the beginning.</summary>
    /// <exception cref="ArgumentException">No tokens, or one that the vocabulary lacks.</exception>
    /// <exception cref="GgmlException">llama.cpp failed.</exception>
    public void Add(ReadOnlySpan<int> tokens)
    {
        if (tokens.IsEmpty) throw new ArgumentException("A text without tokens shows nothing.", nameof(tokens));
        vocabulary.Check(tokens);
        var count = Math.Min(tokens.Length, contextSize);
        context.Clear();
        for (var i = 0; i < count; i++) context.Batch.Add(tokens[i], i, sequence: 0, output: i == count - 1);
        try
        {
            context.Decode();
        }
        finally
        {
            if (fault is not null) ExceptionDispatchInfo.Throw(fault);
        }
        texts++;
        tokenCount += count;
    }

    /// <summary>What the texts so far show.</summary>
    /// <exception cref="InvalidOperationException">There was none.</exception>
    public ImportanceMatrix Matrix() => texts == 0
        ? throw new InvalidOperationException("no text was computed")
        : new(
            sums.ToDictionary(entry => entry.Key, entry => new ColumnImportance(Array.ConvertAll(entry.Value.Squares, sum => (float)sum), entry.Value.Count)),
            texts,
            tokenCount);

    public void Dispose()
    {
        context.Dispose();
        if (self.IsAllocated) self.Free();
    }

    /// <param name="ask">Whether the tensor is wanted; then it is shown again when it is computed.</param>
    /// <returns>Whether it is, and whether to go on.</returns>
    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static byte Observe(Tensor* tensor, byte ask, nint data)
    {
        var collector = (ImportanceCollector)GCHandle.FromIntPtr(data).Target!;
        try
        {
            if (ask != 0) return Convert.ToByte(collector.IsWanted(tensor));
            collector.Sum(tensor);
            return 1;
        }
        catch (Exception exception)
        {
            collector.fault = exception; // it must not cross into native code
            return 0;
        }
    }

    private bool IsWanted(Tensor* tensor) => tensor->Operation == multiplication && tensor->Source1->Type == GgmlType.F32
        && MemoryMarshal.CreateReadOnlySpanFromNullTerminated(tensor->Source0->Name).StartsWith("blk."u8);

    private void Sum(Tensor* product)
    {
        var input = product->Source1;
        var name = NativeBuild.Text((nint)product->Source0->Name);
        var columns = checked((int)input->Shape[0]);
        if (!sums.TryGetValue(name, out var sum)) sums[name] = sum = new Sums(new double[columns]);
        for (var outer = 0L; outer < input->Shape[3]; outer++)
            for (var middle = 0L; middle < input->Shape[2]; middle++)
                for (var row = 0L; row < input->Shape[1]; row++)
                {
                    var start = input->Data + (nint)((outer * input->Strides[3]) + (middle * input->Strides[2]) + (row * input->Strides[1]));
                    sum.Add(new ReadOnlySpan<float>((float*)start, columns));
                }
    }

    private sealed class Sums(double[] squares)
    {
        public double[] Squares => squares;

        public long Count { get; private set; }

        public void Add(ReadOnlySpan<float> row)
        {
            for (var i = 0; i < row.Length; i++) squares[i] += (double)row[i] * row[i];
            Count++;
        }
    }
}
