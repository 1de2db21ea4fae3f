using ModelOps.Models.Lora;
using static TorchSharp.torch;

namespace ModelOps.Models.Decoder;

/// <summary>y = W x, plus the low-rank update of an adapter where one is attached. No bias in the Llama family.</summary>
/// <param name="Module">Path in Hugging Face's module tree, for example <c>model.layers.0.self_attn.q_proj</c>.</param>
internal sealed record Projection(string Module, Tensor Weight_OI)
{
    public LoraUpdate? Lora { get; set; }

    /// <summary>The last part of the path: what an adapter's target modules name.</summary>
    public string Name => Module[(Module.LastIndexOf('.') + 1)..];

    public Tensor Forward(Tensor x)
    {
        var y = nn.functional.linear(x, Weight_OI);
        return Lora is null ? y : y.Plus(Lora.Forward(x));
    }
}
