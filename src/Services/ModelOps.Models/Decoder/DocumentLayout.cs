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
    private readonly Tensor? mask;

    private DocumentLayout(Tensor positions, Tensor? mask)
    {
        Positions = positions;
        this.mask = mask;
    }

    /// <summary>(B, T) int64: position within the document.</summary>
    internal Tensor Positions { get; }

    /// <summary>(B, 1, T, T) or (1, 1, T, T): 0 where a query (row) may see a key (column), −∞ elsewhere. Null: plain causal attention.</summary>
    /// <param name="window">How many positions a query sees at most, its own included; null: all.</param>
    /// <param name="required">Never null.</param>
    /// <returns>A tensor of the caller's dispose scope, or of this layout.</returns>
    internal Tensor? MaskWithin(int? window, bool required)
    {
        var length = Positions.shape[^1];
        if (window >= length) window = null;
        if (window is null && (mask is not null || !required)) return mask;
        using var scope = NewDisposeScope();
        using Scalar hidden = double.NegativeInfinity;
        var visible_TT = ones(length, length, dtype: ScalarType.Bool, device: Positions.device).tril();
        if (window is { } size) visible_TT = visible_TT.logical_and(visible_TT.tril(-size).logical_not());
        var within_11TT = zeros(length, length, device: Positions.device).masked_fill_(visible_TT.logical_not(), hidden).view(1, 1, length, length);
        return (mask is null ? within_11TT : within_11TT.Plus(mask)).MoveToOuterDisposeScope();
    }

    /// <param name="length">T: positions in each row.</param>
    /// <param name="rows">Lengths of the documents of each row, in order. What they leave of T is padding: one more document.</param>
    /// <exception cref="ArgumentException">The documents of a row do not fit, or one of them is empty.</exception>
    public static DocumentLayout Create(int length, IReadOnlyList<IReadOnlyList<int>> rows, Device? device = null)
    {
        TorchNatives.Load();
        var positions = new long[rows.Count * length];
        var documents = new long[rows.Count * length];
        for (var row = 0; row < rows.Count; row++)
            Lay(rows[row], positions.AsSpan(row * length, length), documents.AsSpan(row * length, length));

        using var scope = NewDisposeScope();
        var positions_BT = tensor(positions, rows.Count, length, device: device);
        if (rows.All(row => row.Count == 1)) return new(positions_BT.DetachFromDisposeScope(), mask: null);
        var documents_BT = tensor(documents, rows.Count, length, device: device);
        var visible_BTT = documents_BT.unsqueeze(2).eq(documents_BT.unsqueeze(1)).tril();
        using Scalar hidden = double.NegativeInfinity;
        var mask_B1TT = zeros(visible_BTT.shape, device: device)
            .masked_fill_(visible_BTT.logical_not(), hidden).unsqueeze(1);
        return new(positions_BT.DetachFromDisposeScope(), mask_B1TT.DetachFromDisposeScope());
    }

    internal static DocumentLayout Causal(long rows, long length, Device device)
    {
        using var scope = NewDisposeScope();
        return new(tensor([.. Enumerable.Range(0, (int)length).Select(position => (long)position)], device: device).expand(rows, length).DetachFromDisposeScope(), mask: null);
    }

    public void Dispose()
    {
        Positions.Dispose();
        mask?.Dispose();
    }

    private static void Lay(IReadOnlyList<int> lengths, Span<long> positions, Span<long> documents)
    {
        var at = 0;
        for (var document = 0; at < positions.Length; document++)
        {
            var rest = positions.Length - at;
            var count = document < lengths.Count ? lengths[document] : rest;
            if (count <= 0 || count > rest)
                throw new ArgumentException($"document {document} has {count} tokens; the row has room for 1 to {rest}", nameof(lengths));
            for (var i = 0; i < count; i++, at++)
                (positions[at], documents[at]) = (i, document);
        }
        if (lengths.Sum() > positions.Length)
            throw new ArgumentException($"documents of {lengths.Sum()} tokens do not fit in a row of {positions.Length}", nameof(lengths));
    }
}
