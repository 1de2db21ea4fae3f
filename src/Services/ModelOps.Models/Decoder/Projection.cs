using ModelOps.Models.Lora;
using static TorchSharp.torch;

namespace ModelOps.Models.Decoder;

/// <summary>y = W x + b, plus the low-rank update of an adapter where one is attached.</summary>
/// <param name="Module">Path in Hugging Face's module tree, for example <c>model.layers.0.self_attn.q_proj</c>.</param>
/// <param name="Bias_O">Null for a projection without one.</param>
internal sealed record Projection(string Module, Tensor Weight_OI, Tensor? Bias_O)
{
    public LoraUpdate? Lora { get; set; }

    /// <summary>The last part of the path: what an adapter's target modules name.</summary>
    public string Name => Module[(Module.LastIndexOf('.') + 1)..];

    public Tensor Forward(Tensor x)
    {
        var y = nn.functional.linear(x, Weight_OI, Bias_O);
        return Lora is null ? y : y.Plus(Lora.Forward(x));
    }
}
