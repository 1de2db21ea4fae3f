using ModelOps.Models;
using static TorchSharp.torch;

namespace ModelOps.Training.Data;

// Shapes: B rows, T positions.

/// <summary>Packed rows as tensors, cut to the longest row.</summary>
internal sealed class PackedBatch : IDisposable
{
    private readonly DocumentLayout layout;

    public PackedBatch(IReadOnlyList<PackedRow> rows, Device device)
    {
        TorchNatives.Load();
        var length = rows.Max(row => row.Length);
        var ids = new long[rows.Count * length];
        var targets = new long[rows.Count * length];
        Array.Fill(targets, CausalLanguageModel.IgnoredTarget);
        for (var row = 0; row < rows.Count; row++)
            Fill(rows[row], ids.AsSpan(row * length, length), targets.AsSpan(row * length, length));
        using var scope = NewDisposeScope();
        Ids_BT = tensor(ids, rows.Count, length, device: device).DetachFromDisposeScope();
        Targets_BT = tensor(targets, rows.Count, length, device: device).DetachFromDisposeScope();
        layout = DocumentLayout.Create(length, [.. rows.Select(row => row.Documents.Select(document => document.Length).ToArray())], device);
        Tokens = rows.Sum(row => row.Length);
        LearnedTokens = targets.Count(target => target != CausalLanguageModel.IgnoredTarget);
    }

    public Tensor Ids_BT { get; }

    public Tensor Targets_BT { get; }

    /// <summary>Padding left out.</summary>
    public int Tokens { get; }

    public int LearnedTokens { get; }

    /// <summary>Nats per learned token.</summary>
    public Tensor Loss(CausalLanguageModel model) => model.Loss(Ids_BT, Targets_BT, layout);

    /// <param name="ofLogits">From (N, V) logits and (N) targets of the learned tokens.</param>
    public Tensor Loss(CausalLanguageModel model, Func<Tensor, Tensor, Tensor> ofLogits) => model.Loss(Ids_BT, Targets_BT, ofLogits, layout);

    /// <summary>Nats of each learned token, row by row, without gradients.</summary>
    public float[] TokenLosses(CausalLanguageModel model) => model.TokenLosses(Ids_BT, Targets_BT, layout);

    public void Dispose()
    {
        Ids_BT.Dispose();
        Targets_BT.Dispose();
        layout.Dispose();
    }

    /// <summary>The target of a position is the next token of the same document.</summary>
    private static void Fill(PackedRow row, Span<long> ids, Span<long> targets)
    {
        var at = 0;
        foreach (var document in row.Documents)
        {
            for (var i = 0; i < document.Length; i++, at++)
            {
                ids[at] = document.Tokens[i];
                if (i + 1 < document.Length && document.Learned[i + 1]) targets[at] = document.Tokens[i + 1];
            }
        }
    }
}
