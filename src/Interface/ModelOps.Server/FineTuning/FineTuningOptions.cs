using System.ComponentModel.DataAnnotations;
using ModelOps.Workflows;

namespace ModelOps.Server.FineTuning;

/// <summary>How OpenAI's fine-tuning API names and serves what it makes.</summary>
public sealed record FineTuningOptions : IValidatableObject
{
    /// <summary>The ORGANIZATION in the names of fine-tuned models, ft:BASE:ORGANIZATION:SUFFIX:ID.</summary>
    [RegularExpression("[A-Za-z0-9._-]{1,64}")]
    public string Organization { get; init; } = "modelops";

    /// <summary>The type that fine-tuned models are quantized to before they are served, by llama.cpp's name.</summary>
    public string Quantization { get; init; } = QuantizationTypes.Default;

    public IEnumerable<ValidationResult> Validate(ValidationContext validationContext)
    {
        if (!QuantizationTypes.All.Except(QuantizationTypes.ThatNeedImportance, StringComparer.Ordinal).Contains(Quantization))
            yield return new(
                $"'{Quantization}' is no type that is made without an importance matrix; there are {string.Join(", ", QuantizationTypes.All.Except(QuantizationTypes.ThatNeedImportance, StringComparer.Ordinal))}",
                [nameof(Quantization)]);
    }
}
