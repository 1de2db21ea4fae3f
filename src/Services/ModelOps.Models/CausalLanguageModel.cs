using System.Runtime.InteropServices;
using ModelOps.ModelFiles;
using ModelOps.Models.Decoder;
using ModelOps.Models.Weights;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace ModelOps.Models;

// Shapes: B rows, T positions, D width, N supervised positions, V vocabulary.

/// <summary>A decoder-only language model of any <see cref="ModelFamily"/>, computed in fp32 whatever its weights are stored as.</summary>
/// <remarks>Not safe for concurrent use. Tensors that its methods return belong to the caller's dispose scope.</remarks>
public sealed partial class CausalLanguageModel : IDisposable
{
    /// <summary>A target that counts for nothing in a loss.</summary>
    public const long IgnoredTarget = -100;

    private readonly IReadOnlyDictionary<string, Tensor> weights;
    private readonly IReadOnlyDictionary<string, LinearWeight> matrices;
    private readonly DecoderLayer[] layers;
    private readonly Tensor embedding_VD;
    private readonly RmsNorm finalNorm;
    private readonly Tensor head_VD;
    private readonly RotaryFrequencies globalFrequencies;
    private readonly RotaryFrequencies? localFrequencies;
    private readonly Scalar? embeddingScale;
    private readonly SoftCap? logitCap;

    // TorchSharp keeps a number that is passed as a temporary alive no longer than its handle is read: a finalizer may free it
    // while the native call uses it. Every Scalar of this project is therefore held by a field or a using.
    private readonly Scalar epsilon;
    private readonly Scalar ignoredTarget = IgnoredTarget;

    /// <param name="weights">Every tensor that is kept in fp32.</param>
    /// <param name="matrices">The linear modules' weights by name; those in fp32 are of <paramref name="weights"/> too.</param>
    private CausalLanguageModel(ModelConfig config, IReadOnlyDictionary<string, Tensor> weights, IReadOnlyDictionary<string, LinearWeight> matrices)
    {
        Config = config;
        this.weights = weights;
        this.matrices = matrices;
        embedding_VD = weights[DecoderTensors.Embedding];
        head_VD = config.TieWordEmbeddings ? embedding_VD : weights[DecoderTensors.Head];
        epsilon = config.RmsNormEpsilon;
        finalNorm = new RmsNorm(weights[DecoderTensors.FinalNorm], epsilon, config.Family.OffsetNorms);
        globalFrequencies = new(config.HeadDimension, config.RopeTheta, config.RopeScaling, embedding_VD.device);
        localFrequencies = config.LocalRopeTheta is { } theta ? new(config.HeadDimension, theta, scaling: null, embedding_VD.device) : null;
        embeddingScale = config.Family.ScaledEmbedding ? Math.Sqrt(config.HiddenSize) : null;
        logitCap = config.FinalSoftCap is { } cap ? new SoftCap(cap) : null;
        layers = [.. Enumerable.Range(0, config.LayerCount).Select(layer => new DecoderLayer(config, matrices, weights, layer, epsilon))];
    }

    public ModelConfig Config { get; }

    /// <summary>Where its weights are.</summary>
    public Device Device => embedding_VD.device;

    /// <summary>What training changes: the adapter if one is attached, else every weight of a model that was made or loaded to be trained.</summary>
    public IReadOnlyList<Parameter> TrainableParameters => adapter is null
        ? [.. weights.Values.OfType<Parameter>()]
        : [.. adapter.Updates.SelectMany(update => update.Parameters)];

    /// <summary>Bytes that its own weights take as they are kept, an adapter's left out.</summary>
    public long WeightBytes =>
        weights.Where(weight => !matrices.ContainsKey(weight.Key)).Sum(weight => weight.Value.numel() * weight.Value.element_size()) + matrices.Values.Sum(matrix => matrix.Bytes);

    /// <summary>Whether the backward pass computes a layer's activations again instead of keeping them: less memory, a third more work.</summary>
    public bool RecomputesActivations { get; set; }

    /// <summary>
    /// Floating-point operations that a training step takes per token: 2 for each weight of a matrix in the forward pass, 2 for the gradient of
    /// what goes into it, 2 for its own if it is trained, and the attention scores (Chowdhery et al. 2022, appendix B). Updates of an adapter are left out.
    /// </summary>
    /// <param name="length">Tokens per row.</param>
    public double TrainingFlopsPerToken(int length) => TrainingFlopsPerToken(Config, length, trainsWeights: adapter is null);

    /// <inheritdoc cref="TrainingFlopsPerToken(int)"/>
    public static double TrainingFlopsPerToken(ModelConfig config, int length, bool trainsWeights) =>
        ((trainsWeights ? 6 : 4) * MatrixWeights(config)) + (3 * AttentionFlops(config, length));

    /// <summary>Those of the forward pass alone.</summary>
    /// <param name="length">Tokens per row.</param>
    public static double ForwardFlopsPerToken(ModelConfig config, int length) => (2 * MatrixWeights(config)) + AttentionFlops(config, length);

    /// <summary>Positions whose logits <see cref="Loss(Tensor, Tensor, DocumentLayout)"/> computes at a time.</summary>
    public static long LossChunk(ModelConfig config) => CrossEntropy.ChunkSize(config.VocabularySize);

    /// <param name="ids">(B, T) int64.</param>
    /// <param name="documents">Documents packed into the rows; null: each row is one document.</param>
    /// <returns>(B, T, V) logits.</returns>
    public Tensor Forward(Tensor ids, DocumentLayout? documents = null)
    {
        using var scope = NewDisposeScope();
        return Head(Hidden(ids, documents)).MoveToOuterDisposeScope();
    }

    /// <summary>Mean cross-entropy in nats over the targets that are not <see cref="IgnoredTarget"/>.</summary>
    /// <param name="ids">(B, T) int64.</param>
    /// <param name="targets">(B, T) int64: the token that should follow each position. At least one counts.</param>
    /// <remarks>Logits are computed at the supervised positions only, a piece of them at a time. Where gradients are recorded, it is a pass of training: dropout and noise draw.</remarks>
    public Tensor Loss(Tensor ids, Tensor targets, DocumentLayout? documents = null)
    {
        using var scope = NewDisposeScope();
        var (hidden_ND, targets_N) = Supervised(ids, targets, documents);
        return CrossEntropy.Mean(hidden_ND, head_VD, targets_N, logitCap).MoveToOuterDisposeScope();
    }

    /// <summary>A loss of the caller's own. Unlike cross-entropy's, its logits stand there whole: N · V numbers, and their gradients.</summary>
    /// <param name="ofLogits">From (N, V) logits and (N) targets.</param>
    /// <inheritdoc cref="Loss(Tensor, Tensor, DocumentLayout)" path="/param"/>
    public Tensor Loss(Tensor ids, Tensor targets, Func<Tensor, Tensor, Tensor> ofLogits, DocumentLayout? documents = null)
    {
        using var scope = NewDisposeScope();
        var (hidden_ND, targets_N) = Supervised(ids, targets, documents);
        return ofLogits(Head(hidden_ND), targets_N).MoveToOuterDisposeScope();
    }

    /// <summary>Cross-entropy in nats of each target that is not <see cref="IgnoredTarget"/>, without gradients.</summary>
    /// <returns>Row by row, from left to right.</returns>
    /// <inheritdoc cref="Loss(Tensor, Tensor, DocumentLayout)" path="/param"/>
    public float[] TokenLosses(Tensor ids, Tensor targets, DocumentLayout? documents = null)
    {
        using var scope = NewDisposeScope();
        using var frozen = no_grad();
        var (hidden_ND, targets_N) = Supervised(ids, targets, documents);
        return CrossEntropy.Each(hidden_ND, head_VD, targets_N, logitCap).cpu().data<float>().ToArray();
    }

    /// <summary>Logits after each token of one document, without gradients: [position, token id].</summary>
    /// <exception cref="ArgumentException">No token, or an id outside the vocabulary.</exception>
    public float[,] Logits(IReadOnlyList<int> tokens)
    {
        if (tokens.Count == 0) throw new ArgumentException("at least one token is needed", nameof(tokens));
        if (tokens.Any(id => (uint)id >= (uint)Config.VocabularySize))
            throw new ArgumentException($"token ids must be from 0 to {Config.VocabularySize - 1}", nameof(tokens));
        using var scope = NewDisposeScope();
        using var frozen = no_grad();
        var ids_BT = tensor([.. tokens.Select(id => (long)id)], 1, tokens.Count, device: Device);
        var logits = new float[tokens.Count, Config.VocabularySize];
        Forward(ids_BT).cpu().data<float>().CopyTo(MemoryMarshal.CreateSpan(ref logits[0, 0], logits.Length));
        return logits;
    }

    public void Dispose()
    {
        adapter?.Dispose();
        noise?.Dispose();
        foreach (var weight in weights.Values) weight.Dispose();
        foreach (var matrix in matrices.Values) matrix.Dispose();
        foreach (var layer in layers) layer.Dispose();
        globalFrequencies.Dispose();
        localFrequencies?.Dispose();
        embeddingScale?.Dispose();
        logitCap?.Dispose();
        epsilon.Dispose();
        ignoredTarget.Dispose();
    }

    private Tensor Hidden(Tensor ids_BT, DocumentLayout? documents)
    {
        ThrowUnlessMatching(ids_BT, documents);
        using var scope = NewDisposeScope();
        using var causal = documents is null ? DocumentLayout.Causal(ids_BT.shape[0], ids_BT.shape[1], Device) : null;
        var layout = documents ?? causal!;
        var rotary = Rotary.At(layout.Positions, globalFrequencies);
        var capped = Config.AttentionSoftCap is not null;
        var all = layout.Reach(rotary, window: null, capped);
        var local = layout.Reach(localFrequencies is null ? rotary : Rotary.At(layout.Positions, localFrequencies), Config.SlidingWindow, capped);
        return finalNorm.Forward(Layers(ids_BT, all, local, cache: null)).MoveToOuterDisposeScope();
    }

    /// <param name="all">What layers see that have no window.</param>
    /// <param name="local">What the others see.</param>
    /// <returns>(B, T, D) before the last norm.</returns>
    private Tensor Layers(Tensor ids_BT, AttentionReach all, AttentionReach local, KeyValueCache? cache)
    {
        if (adapter is not null) adapter.Randomness.IsTraining = is_grad_enabled();
        if (noise is not null) noise.Randomness.IsTraining = is_grad_enabled();
        var x_BTD = Embed(ids_BT);
        foreach (var (index, layer) in layers.Index())
        {
            var reach = layer.IsLocal ? local : all;
            x_BTD = RecomputesActivations && is_grad_enabled()
                ? RecomputedLayer.Forward(layer, x_BTD, reach, adapter?.Options.Dropout > 0 ? adapter.Randomness.Generator : null)
                : layer.Forward(x_BTD, reach, cache?.Layer(index));
        }
        return x_BTD;
    }

    /// <summary>(N, D) and (N): the positions that have a target, and their targets.</summary>
    private (Tensor Hidden, Tensor Targets) Supervised(Tensor ids_BT, Tensor targets_BT, DocumentLayout? documents)
    {
        var targets_N = targets_BT.reshape(-1);
        var supervised_N = targets_N.ne(ignoredTarget).nonzero().squeeze(1);
        return (Hidden(ids_BT, documents).flatten(0, 1).index_select(0, supervised_N), targets_N.index_select(0, supervised_N));
    }

    private Tensor Embed(Tensor ids_BT)
    {
        var x_BTD = embedding_VD.index_select(0, ids_BT.reshape(-1)).view(ids_BT.shape[0], ids_BT.shape[1], Config.HiddenSize);
        if (embeddingScale is not null) x_BTD = x_BTD * embeddingScale;
        return noise?.Add(x_BTD) ?? x_BTD;
    }

    private Tensor Head(Tensor hidden)
    {
        var logits = F.linear(hidden, head_VD);
        return logitCap?.Apply(logits) ?? logits;
    }

    private static double MatrixWeights(ModelConfig config) => DecoderTensors.LinearParameterCount(config) + ((double)config.VocabularySize * config.HiddenSize);

    /// <summary>Of the scores and of what they weigh, in the forward pass.</summary>
    private static double AttentionFlops(ModelConfig config, int length) => 2.0 * config.LayerCount * config.HeadCount * config.HeadDimension * length;

    private static void ThrowUnlessMatching(Tensor ids_BT, DocumentLayout? documents)
    {
        if (ids_BT.dim() != 2 || ids_BT.dtype != ScalarType.Int64)
            throw new ArgumentException($"ids must be (B, T) int64; they are ({string.Join(", ", ids_BT.shape)}) {ids_BT.dtype}", nameof(ids_BT));
        if (documents is not null && !documents.Positions.shape.SequenceEqual(ids_BT.shape))
            throw new ArgumentException($"the layout is for ({string.Join(", ", documents.Positions.shape)}), the ids are ({string.Join(", ", ids_BT.shape)})", nameof(documents));
    }
}
