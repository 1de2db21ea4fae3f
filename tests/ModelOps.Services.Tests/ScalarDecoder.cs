using ModelOps.ModelFiles;

namespace ModelOps.Services.Tests;

/// <summary>The scalar twin of the tensor code: one document, plain loops in double precision, written from the formulas, with Hugging
/// Face's weight layout.</summary>
internal sealed class ScalarDecoder(ModelFolder model)
{
    private readonly ModelConfig config = model.Config;
    private readonly Dictionary<string, (long[] Shape, float[] Values)> weights = ReadAll(model);

    /// <returns>[position][token id].</returns>
    public double[][] Logits(int[] tokens)
    {
        var head = weights[config.TieWordEmbeddings ? DecoderTensors.Embedding : DecoderTensors.Head];
        return [.. Hidden(tokens).Select(row => Multiply(head, row).Select(logit => Cap(logit, config.FinalSoftCap)).ToArray())];
    }

    /// <returns>[position][hidden size], after the last norm.</returns>
    public double[][] Hidden(int[] tokens)
    {
        var scale = config.Family.ScaledEmbedding ? Math.Sqrt(config.HiddenSize) : 1;
        var x = tokens.Select(token => Row(weights[DecoderTensors.Embedding], token).Select(value => value * scale).ToArray()).ToArray();
        for (var layer = 0; layer < config.LayerCount; layer++)
        {
            var attended = Attention(layer, Norm(layer, "input_layernorm", x));
            x = Add(x, config.Family.NormsAfter ? Norm(layer, "post_attention_layernorm", attended) : attended);
            var fed = Norm(layer, config.Family.NormsAfter ? "pre_feedforward_layernorm" : "post_attention_layernorm", x)
                .Select(row => FeedForward(layer, row)).ToArray();
            x = Add(x, config.Family.NormsAfter ? Norm(layer, "post_feedforward_layernorm", fed) : fed);
        }

        return [.. x.Select(row => Norm(row, weights[DecoderTensors.FinalNorm]))];
    }

    private double[][] Attention(int layer, double[][] rows)
    {
        var (size, group) = (config.HeadDimension, config.HeadCount / config.KeyValueHeadCount);
        var local = config.LocalLayers.Contains(layer);
        var q = rows.Select((row, position) => Rotate(HeadNorms(layer, "q", Apply(layer, "self_attn.q_proj", row)), position, local)).ToArray();
        var k = rows.Select((row, position) => Rotate(HeadNorms(layer, "k", Apply(layer, "self_attn.k_proj", row)), position, local)).ToArray();
        var v = rows.Select(row => Apply(layer, "self_attn.v_proj", row)).ToArray();
        var result = new double[rows.Length][];
        for (var t = 0; t < rows.Length; t++)
        {
            var first = local ? Math.Max(0, t - config.SlidingWindow!.Value + 1) : 0;
            var mixed = new double[config.HeadCount * size];
            for (var head = 0; head < config.HeadCount; head++)
            {
                var (own, shared) = (head * size, head / group * size);
                var scores = Enumerable.Range(first, t + 1 - first)
                    .Select(s => Enumerable.Range(0, size).Sum(e => q[t][own + e] * k[s][shared + e]) / Math.Sqrt(config.QueryScalar ?? size))
                    .Select(score => Cap(score, config.AttentionSoftCap)).ToArray();
                var peak = scores.Max();
                var total = scores.Sum(score => Math.Exp(score - peak));
                for (var s = first; s <= t; s++)
                    for (var e = 0; e < size; e++)
                        mixed[own + e] += Math.Exp(scores[s - first] - peak) / total * v[s][shared + e];
            }
            result[t] = Apply(layer, "self_attn.o_proj", mixed);
        }
        return result;
    }

    private double[] FeedForward(int layer, double[] row)
    {
        var (gate, up) = (Apply(layer, "mlp.gate_proj", row), Apply(layer, "mlp.up_proj", row));
        return Apply(layer, "mlp.down_proj", [.. gate.Zip(up, (g, u) => Activate(g) * u)]);
    }

    private double Activate(double x) => config.Family.IsGelu
        ? 0.5 * x * (1 + Math.Tanh(Math.Sqrt(2 / Math.PI) * (x + (0.044715 * x * x * x))))
        : x / (1 + Math.Exp(-x));

    private double[] Apply(int layer, string module, double[] row)
    {
        var path = DecoderTensors.Module(layer, module);
        var y = Multiply(weights[$"{path}.weight"], row);
        return weights.TryGetValue($"{path}.bias", out var bias) ? [.. y.Zip(bias.Values, (value, add) => value + add)] : y;
    }

    private double[] HeadNorms(int layer, string which, double[] heads) => config.Family.QueryKeyNorm
        ? [.. heads.Chunk(config.HeadDimension).SelectMany(head => Norm(head, weights[$"{DecoderTensors.Module(layer, $"self_attn.{which}_norm")}.weight"]))]
        : heads;

    private double[] Rotate(double[] heads, int position, bool local)
    {
        var size = config.HeadDimension;
        var turned = new double[heads.Length];
        for (var start = 0; start < heads.Length; start += size)
        {
            for (var i = 0; i < size / 2; i++)
            {
                var (frequency, magnitude) = Rope(i, local);
                var (sin, cos) = Math.SinCos(position * frequency);
                var (a, b) = (heads[start + i] * magnitude, heads[start + i + (size / 2)] * magnitude);
                turned[start + i] = (a * cos) - (b * sin);
                turned[start + i + (size / 2)] = (b * cos) + (a * sin);
            }
        }
        return turned;
    }

    private (double Frequency, double Magnitude) Rope(int pair, bool local)
    {
        var theta = local ? config.LocalRopeTheta ?? config.RopeTheta : config.RopeTheta;
        var frequency = Math.Pow(theta, -2.0 * pair / config.HeadDimension);
        if (config.RopeScaling is not { } scaling || (local && config.LocalRopeTheta is not null)) return (frequency, 1);
        var turns = scaling.OriginalPositions * frequency / (2 * Math.PI);
        return scaling.Kind switch
        {
            RopeScalingKind.Linear => (frequency / scaling.Factor, 1),
            RopeScalingKind.Llama3 when turns < scaling.LowFrequencyFactor => (frequency / scaling.Factor, 1),
            RopeScalingKind.Llama3 when turns > scaling.HighFrequencyFactor => (frequency, 1),
            RopeScalingKind.Llama3 => (Blend((turns - scaling.LowFrequencyFactor) / (scaling.HighFrequencyFactor - scaling.LowFrequencyFactor)), 1),
            _ => (Blend(1 - Math.Clamp((pair - Dimension(32)) / (Dimension(1) - Dimension(32)), 0, 1)), 1 + (0.1 * Math.Log(scaling.Factor))),
        };

        double Blend(double kept) => (frequency * kept) + (frequency / scaling.Factor * (1 - kept));

        double Dimension(double rotations)
        {
            var dimension = config.HeadDimension * Math.Log(scaling.OriginalPositions / (rotations * 2 * Math.PI)) / (2 * Math.Log(theta));
            return rotations > 1 ? Math.Max(0, Math.Floor(dimension)) : Math.Ceiling(dimension);
        }
    }

    private double[][] Norm(int layer, string name, double[][] rows) =>
        [.. rows.Select(row => Norm(row, weights[$"{DecoderTensors.Module(layer, name)}.weight"]))];

    private double[] Norm(double[] x, (long[] Shape, float[] Values) weight)
    {
        var scale = 1 / Math.Sqrt(x.Average(value => value * value) + config.RmsNormEpsilon);
        var offset = config.Family.OffsetNorms ? 1 : 0;
        return [.. x.Select((value, i) => value * scale * (weight.Values[i] + offset))];
    }

    private static double Cap(double value, double? cap) => cap is { } limit ? limit * Math.Tanh(value / limit) : value;

    private static double[] Multiply((long[] Shape, float[] Values) matrix, double[] x)
    {
        var y = new double[matrix.Shape[0]];
        for (var o = 0; o < y.Length; o++)
            for (var i = 0; i < x.Length; i++)
                y[o] += matrix.Values[(o * x.Length) + i] * x[i];
        return y;
    }

    private static double[] Row((long[] Shape, float[] Values) matrix, int row) =>
        [.. matrix.Values.AsSpan(row * (int)matrix.Shape[1], (int)matrix.Shape[1]).ToArray().Select(value => (double)value)];

    private static double[][] Add(double[][] a, double[][] b) => [.. a.Zip(b, (x, y) => x.Zip(y, (u, w) => u + w).ToArray())];

    private static Dictionary<string, (long[] Shape, float[] Values)> ReadAll(ModelFolder model)
    {
        using var open = model.OpenWeights();
        return model.Weights.ToDictionary(weight => weight.Key, weight => (weight.Value.Tensor.Shape, open.ReadFloats(weight.Key)));
    }
}
