using ModelOps.ModelFiles;
using TorchSharp;
using static TorchSharp.torch;

namespace ModelOps.Models.Decoder;

// Shapes: B rows, T new positions, S positions with the new ones, C capacity, K key/value heads, E head size.

/// <summary>
/// Keys and values of what a batch has read, so that a new token costs one position. Rows begin with padding and end together (left padding):
/// what is apart by n columns is apart by n positions in every row.
/// </summary>
internal sealed class KeyValueCache : IDisposable
{
    private static readonly Scalar zero = 0;
    private readonly LayerCache[] layers;
    private Tensor padding_B1;

    /// <param name="padding">Columns before the first token of each row.</param>
    /// <param name="capacity">Columns that it has room for.</param>
    public KeyValueCache(ModelConfig config, IReadOnlyList<int> padding, int capacity, Device device)
    {
        using var scope = NewDisposeScope();
        padding_B1 = tensor([.. padding.Select(count => (long)count)], padding.Count, 1, device: device).DetachFromDisposeScope();
        layers = [.. Enumerable.Range(0, config.LayerCount).Select(_ => new LayerCache(Room(), Room()))];

        Tensor Room() => empty([padding.Count, config.KeyValueHeadCount, capacity, config.HeadDimension], ScalarType.Float32, device).DetachFromDisposeScope();
    }

    /// <summary>Columns that are filled.</summary>
    public int Length { get; private set; }

    public LayerCache Layer(int index) => layers[index];

    /// <summary>(B, T): positions of the next columns within their rows; those of padding are 0.</summary>
    public Tensor Positions(int count)
    {
        using var scope = NewDisposeScope();
        return Columns(Length, count).unsqueeze(0).Plus(padding_B1.neg()).clamp_min_(zero).MoveToOuterDisposeScope();
    }

    /// <summary>(B, 1, T, S): 0 where one of the next columns may see a column, −∞ elsewhere. Padding sees itself, so that it stays finite.</summary>
    /// <param name="window">How many positions a query sees at most, its own included; null: all.</param>
    public Tensor Mask(int count, int? window)
    {
        using var scope = NewDisposeScope();
        using Scalar hidden = double.NegativeInfinity;
        var (query_T1, key_1S) = (Columns(Length, count).unsqueeze(1), Columns(0, Length + count).unsqueeze(0));
        var visible_TS = key_1S.le(query_T1);
        if (window is { } size)
        {
            using Scalar reach = size;
            visible_TS = visible_TS.logical_and(query_T1.Plus(key_1S.neg()).lt(reach));
        }
        var real_B1S = key_1S.ge(padding_B1).unsqueeze(1);
        var visible_BTS = real_B1S.logical_and(visible_TS).logical_or(key_1S.eq(query_T1));
        return zeros(visible_BTS.shape, device: padding_B1.device).masked_fill_(visible_BTS.logical_not(), hidden).unsqueeze(1).MoveToOuterDisposeScope();
    }

    /// <summary>The next columns have been read by every layer.</summary>
    public void Advance(int count)
    {
        Length += count;
        foreach (var layer in layers) layer.Length = Length;
    }

    /// <summary>Goes on with some of its rows, in this order.</summary>
    public void Keep(IReadOnlyList<int> rows)
    {
        using var scope = NewDisposeScope();
        var rows_B = tensor([.. rows.Select(row => (long)row)], device: padding_B1.device);
        var kept_B1 = padding_B1.index_select(0, rows_B).DetachFromDisposeScope();
        padding_B1.Dispose();
        padding_B1 = kept_B1;
        foreach (var layer in layers) layer.Keep(rows_B);
    }

    public void Dispose()
    {
        padding_B1.Dispose();
        foreach (var layer in layers) layer.Dispose();
    }

    private Tensor Columns(int start, int count) =>
        tensor([.. Enumerable.Range(start, count).Select(column => (long)column)], device: padding_B1.device);
}

/// <summary>One layer's part of a <see cref="KeyValueCache"/>.</summary>
internal sealed class LayerCache(Tensor keys, Tensor values) : IDisposable
{
    private Tensor keys_BKCE = keys;
    private Tensor values_BKCE = values;

    public int Length { get; set; }

    /// <summary>Writes down the new columns' keys and values.</summary>
    /// <returns>(B, K, S, E) keys and values of all columns, views of the cache.</returns>
    public (Tensor Keys, Tensor Values) Append(Tensor keys_BKTE, Tensor values_BKTE)
    {
        var count = keys_BKTE.shape[2];
        keys_BKCE.narrow(2, Length, count).copy_(keys_BKTE);
        values_BKCE.narrow(2, Length, count).copy_(values_BKTE);
        return (keys_BKCE.narrow(2, 0, Length + count), values_BKCE.narrow(2, 0, Length + count));
    }

    public void Keep(Tensor rows_B)
    {
        (keys_BKCE, values_BKCE) = (Kept(keys_BKCE), Kept(values_BKCE));

        Tensor Kept(Tensor room)
        {
            var kept = empty([rows_B.shape[0], .. room.shape[1..]], ScalarType.Float32, room.device).DetachFromDisposeScope();
            kept.narrow(2, 0, Length).copy_(room.narrow(2, 0, Length).index_select(0, rows_B));
            room.Dispose();
            return kept;
        }
    }

    public void Dispose()
    {
        keys_BKCE.Dispose();
        values_BKCE.Dispose();
    }
}
