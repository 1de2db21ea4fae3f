using ModelOps.Models.Lora;
using ModelOps.Models.Weights;
using static TorchSharp.torch;

namespace ModelOps.Models.Decoder;

/// <summary>y = W x + b, plus the low-rank update of an adapter where one is attached.</summary>
/// <param name="Module">Path in Hugging Face's module tree, for example <c>model.layers.0.self_attn.q_proj</c>.</param>
/// <param name="Bias_O">Null for a projection without one.</param>
internal sealed record Projection(string Module, LinearWeight Weight, Tensor? Bias_O)
{
    public LoraUpdate? Lora { get; set; }

    /// <summary>The last part of the path: what an adapter's target modules name.</summary>
    public string Name => Module[(Module.LastIndexOf('.') + 1)..];

    public Tensor Forward(Tensor x)
    {
        var product = Weight.Apply(x);
        var y = Lora?.Forward(x, product) ?? product;
        return Bias_O is null ? y : y.Plus(Bias_O);
    }
}
