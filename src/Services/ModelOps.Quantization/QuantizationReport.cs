using System.Text.Json;
using System.Text.Json.Serialization;
using ModelOps.Ggml;

namespace ModelOps.Quantization;

/// <summary>What is known of a quantized file, as <c>quantization-report.json</c> beside it says it.</summary>
/// <param name="Parity">Null where the trainer does not read the source.</param>
/// <param name="Importance">Null: without an importance matrix.</param>
public sealed record QuantizationReport(
    string Type, QuantizationSummary File, QualityReport Quality, ModelSpeed Speed, ParityResult? Parity, ImportanceSource? Importance)
{
    public QuantizationReport(QuantizationType type, QuantizationOutcome outcome, ParityResult? parity, ImportanceSource? importance)
        : this(type.ToString(), outcome.Summary, outcome.Quality, outcome.Speed, parity, importance)
    {
    }

    /// <summary>Writes snake_case JSON.</summary>
    public void Save(string path)
    {
        using var stream = System.IO.File.Create(path);
        JsonSerializer.Serialize(stream, this, QuantizationJson.Default.QuantizationReport);
    }
}

/// <param name="Dataset"><c>name@version</c>.</param>
public sealed record ImportanceSource(string Dataset, int Texts, long Tokens);

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull, WriteIndented = true)]
[JsonSerializable(typeof(QuantizationReport))]
internal sealed partial class QuantizationJson : JsonSerializerContext;
