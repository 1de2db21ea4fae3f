using System.Text.Json;

namespace ModelOps.ModelFiles;

public enum RopeScalingKind
{
    /// <summary>Positions are divided by the factor (Chen et al. 2023).</summary>
    Linear,

    /// <summary>Low frequencies are divided by the factor, high ones kept, those between blended (Llama 3.1).</summary>
    Llama3,

    /// <summary>As Llama3 with a ramp over dimensions, and larger attention scores (Peng et al. 2023).</summary>
    Yarn,
}

/// <summary>How rotary frequencies are stretched for sequences longer than <see cref="OriginalPositions"/>: config.json's
/// <c>rope_scaling</c>.</summary>
public sealed record RopeScaling(RopeScalingKind Kind, double Factor)
{
    private const double BetaFast = 32;
    private const double BetaSlow = 1;

    /// <summary><c>original_max_position_embeddings</c>; unused by linear scaling.</summary>
    public int OriginalPositions { get; init; }

    /// <summary>Llama3 only: wavelengths above OriginalPositions / this are stretched fully.</summary>
    public double LowFrequencyFactor { get; init; } = 1;

    /// <summary>Llama3 only: wavelengths under OriginalPositions / this are kept.</summary>
    public double HighFrequencyFactor { get; init; } = 4;

    /// <summary>What queries and keys are multiplied by.</summary>
    public double Magnitude => Kind == RopeScalingKind.Yarn && Factor > 1 ? (0.1 * Math.Log(Factor)) + 1 : 1;

    /// <summary>Radians per position of each pair of a head's elements: theta^(−2i/d), scaled.</summary>
    /// <returns>d/2 values.</returns>
    public static double[] Frequencies(int headDimension, double theta, RopeScaling? scaling) =>
    [
        .. Enumerable.Range(0, headDimension / 2).Select(i =>
        {
            var frequency = Math.Pow(theta, -2.0 * i / headDimension);
            return scaling is null ? frequency : frequency / scaling.Stretch(i, frequency, headDimension, theta);
        }),
    ];

    /// <summary>Reads <c>rope_scaling</c>, or transformers 5's <c>rope_parameters</c>.</summary>
    /// <returns>Null for unscaled frequencies, or where something is wrong, which is reported to <paramref name="errors"/>.</returns>
    internal static RopeScaling? Read(JsonElement element, string name, int maxPositions, JsonFields errors)
    {
        var fields = new JsonFields(element);
        var type = fields.Text("rope_type") ?? fields.Text("type") ?? "default";
        RopeScaling? scaling = type switch
        {
            "default" => null,
            "linear" => new(RopeScalingKind.Linear, fields.PositiveNumber("factor")),
            "llama3" => new(RopeScalingKind.Llama3, fields.PositiveNumber("factor"))
            {
                OriginalPositions = fields.PositiveInt("original_max_position_embeddings"),
                LowFrequencyFactor = fields.PositiveNumber("low_freq_factor"),
                HighFrequencyFactor = fields.PositiveNumber("high_freq_factor"),
            },
            "yarn" => new(RopeScalingKind.Yarn, fields.PositiveNumber("factor"))
            {
                OriginalPositions = fields.PositiveInt("original_max_position_embeddings", maxPositions),
            },
            _ => null,
        };
        if (type is not ("default" or "linear" or "llama3" or "yarn"))
            fields.Report($"scaling of type {type} is not supported; linear, llama3 and yarn are");
        if (scaling is { Kind: RopeScalingKind.Llama3 } && scaling.HighFrequencyFactor <= scaling.LowFrequencyFactor)
            fields.Report($"\"high_freq_factor\" {scaling.HighFrequencyFactor} is not above \"low_freq_factor\" {scaling.LowFrequencyFactor}");
        if (scaling is { Kind: RopeScalingKind.Yarn }) ReportUnusualYarn(fields, scaling);
        foreach (var error in fields.Errors) errors.Report($"\"{name}\": {error}");
        return scaling;
    }

    internal void Write(Utf8JsonWriter json)
    {
        json.WriteStartObject("rope_scaling");
        json.WriteString("rope_type", Kind switch { RopeScalingKind.Linear => "linear", RopeScalingKind.Llama3 => "llama3", _ => "yarn" });
        json.WriteNumber("factor", Factor);
        if (Kind != RopeScalingKind.Linear) json.WriteNumber("original_max_position_embeddings", OriginalPositions);
        if (Kind == RopeScalingKind.Llama3)
        {
            json.WriteNumber("low_freq_factor", LowFrequencyFactor);
            json.WriteNumber("high_freq_factor", HighFrequencyFactor);
        }

        json.WriteEndObject();
    }

    private static void ReportUnusualYarn(JsonFields fields, RopeScaling scaling)
    {
        if (fields.Number("beta_fast", BetaFast) is not BetaFast) fields.Report($"\"beta_fast\" other than {BetaFast} is not supported");
        if (fields.Number("beta_slow", BetaSlow) is not BetaSlow) fields.Report($"\"beta_slow\" other than {BetaSlow} is not supported");
        if (Math.Abs(fields.Number("attention_factor", scaling.Magnitude) - scaling.Magnitude) > 1e-6)
            fields.Report($"\"attention_factor\" other than 0.1 ln(factor) + 1 = {scaling.Magnitude:0.####} is not supported");
        foreach (var name in (string[])["mscale", "mscale_all_dim"])
        {
            if (fields.Find(name) is not null) fields.Report($"\"{name}\" is not supported");
        }

        if (!fields.Flag("truncate", true)) fields.Report("\"truncate\": false is not supported");
    }

    /// <summary>What a frequency is divided by, from 1 to <see cref="Factor"/>.</summary>
    private double Stretch(int pair, double frequency, int headDimension, double theta)
    {
        if (Kind == RopeScalingKind.Linear) return Factor;
        double kept;
        if (Kind == RopeScalingKind.Llama3)
        {
            var turns = OriginalPositions * frequency / (2 * Math.PI);
            kept = (turns - LowFrequencyFactor) / (HighFrequencyFactor - LowFrequencyFactor);
        }
        else
        {
            var low = Math.Max(Math.Floor(PairTurning(BetaFast)), 0);
            var high = Math.Min(Math.Ceiling(PairTurning(BetaSlow)), headDimension - 1);
            kept = 1 - ((pair - low) / Math.Max(0.001, high - low));
        }

        kept = Math.Clamp(kept, 0, 1);
        return 1 / (((1 - kept) / Factor) + kept);

        // The pair that turns so often over the original positions.
        double PairTurning(double turns) => headDimension * Math.Log(OriginalPositions / (turns * 2 * Math.PI)) / (2 * Math.Log(theta));
    }
}
