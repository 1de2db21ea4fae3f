using ModelOps.Models.Decoder;
using TorchSharp;
using static TorchSharp.torch;

namespace ModelOps.Models;

// Shapes: B rows, T positions.

/// <summary>
/// Where the documents of packed rows begin and end. A token attends only to earlier tokens of its own document, and positions
/// count from 0 in each: a packed row computes what its documents would compute alone.
/// </summary>
public sealed class DocumentLayout : IDisposable
{
    private readonly IReadOnlyList<long>? lengths;

    private DocumentLayout(Tensor positions, IReadOnlyList<long>? lengths)
    {
        Positions = positions;
        this.lengths = lengths;
    }

    /// <summary>(B, T) int64: position within the document.</summary>
    internal Tensor Positions { get; }

    /// <param name="length">T: positions in each row.</param>
    /// <param name="rows">Lengths of the documents of each row, in order. What they leave of T is padding: one more document.</param>
    /// <exception cref="ArgumentException">The documents of a row do not fit, or one of them is empty.</exception>
    public static DocumentLayout Create(int length, IReadOnlyList<IReadOnlyList<int>> rows, Device? device = null)
    {
        TorchNatives.Load();
        var documents = rows.SelectMany(row => WithPadding(row, length)).ToList();
        var positions = documents.SelectMany(document => Enumerable.Range(0, (int)document)).Select(position => (long)position).ToArray();
        return new(
            tensor(positions, rows.Count, length, device: device).DetachFromDisposeScope(), documents.Count == rows.Count ? null : documents);
    }

    internal static DocumentLayout Causal(long rows, long length, Device device)
    {
        using var scope = NewDisposeScope();
        return new(arange(length, device: device).expand(rows, length).DetachFromDisposeScope(), lengths: null);
    }

    /// <param name="window">How many positions a query sees at most, its own included; null: all.</param>
    /// <param name="masked">Whether attention needs a mask whatever is seen.</param>
    /// <returns>Tensors of the caller's dispose scope.</returns>
    internal AttentionReach Reach(Rotary rotary, int? window, bool masked)
    {
        if (window >= (lengths?.Max() ?? Positions.shape[^1])) window = null;
        return masked || window is not null ? new(rotary, Mask(window)) : new(rotary, Mask: null, lengths);
    }

    public void Dispose() => Positions.Dispose();

    /// <summary>(B, 1, T, T), or (1, 1, T, T) where rows are whole documents: 0 where a query (row) may see a key (column), −∞ elsewhere.</summary>
    private Tensor Mask(int? window)
    {
        using var scope = NewDisposeScope();
        using Scalar hidden = double.NegativeInfinity;
        var length = Positions.shape[^1];
        var visible_TT = ones(length, length, dtype: ScalarType.Bool, device: Positions.device).tril();
        if (window is { } size) visible_TT = visible_TT.logical_and(visible_TT.tril(-size).logical_not());
        var visible_BTT = lengths is null ? visible_TT.unsqueeze(0) : visible_TT.logical_and(SameDocument(lengths));
        return zeros(visible_BTT.shape, device: Positions.device).masked_fill_(visible_BTT.logical_not(), hidden).unsqueeze(1).MoveToOuterDisposeScope();
    }

    /// <summary>(B, T, T).</summary>
    private Tensor SameDocument(IReadOnlyList<long> documents)
    {
        var numbers = documents.SelectMany((document, number) => Enumerable.Repeat((long)number, (int)document)).ToArray();
        var numbers_BT = tensor(numbers, Positions.shape[0], Positions.shape[1], device: Positions.device);
        return numbers_BT.unsqueeze(2).eq(numbers_BT.unsqueeze(1));
    }

    private static IEnumerable<long> WithPadding(IReadOnlyList<int> documents, int length)
    {
        foreach (var (index, count) in documents.Index())
            if (count <= 0) throw new ArgumentException($"document {index} has {count} tokens; at least 1 is needed", nameof(documents));
        var padding = length - documents.Sum();
        if (padding < 0) throw new ArgumentException($"documents of {documents.Sum()} tokens do not fit in a row of {length}", nameof(documents));
        var all = documents.Select(count => (long)count);
        return padding == 0 ? all : all.Append(padding);
    }
}
