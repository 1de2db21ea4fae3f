using ModelOps.ModelFiles;

namespace ModelOps.Services.Tests.Models;

/// <summary>The scalar twin of the tensor code: one document, plain loops in double precision, written from the formulas.</summary>
internal static class ScalarLlama
{
    public static double[][] Logits(ModelConfig config, IReadOnlyDictionary<string, (long[] Shape, float[] Values)> weights, int[] tokens)
    {
        var x = tokens.Select(token => Row(weights[LlamaTensors.Embedding], token)).ToArray();
        for (var layer = 0; layer < config.LayerCount; layer++)
        {
            var attended = Attention(config, layer, [.. x.Select(row => Norm(row, NormWeight("input_layernorm"), config.RmsNormEpsilon))]);
            x = Add(x, attended);
            x = Add(x, [.. x.Select(row => FeedForward(Norm(row, NormWeight("post_attention_layernorm"), config.RmsNormEpsilon)))]);

            (long[] Shape, float[] Values) NormWeight(string name) => weights[$"{LlamaTensors.Module(layer, name)}.weight"];

            double[] FeedForward(double[] row)
            {
                var (gate, up) = (Apply(layer, "mlp.gate_proj", row), Apply(layer, "mlp.up_proj", row));
                return Apply(layer, "mlp.down_proj", [.. gate.Zip(up, (g, u) => g / (1 + Math.Exp(-g)) * u)]);
            }
        }
        var output = weights[config.TieWordEmbeddings ? LlamaTensors.Embedding : LlamaTensors.Head];
        return [.. x.Select(row => Multiply(output, Norm(row, weights[LlamaTensors.FinalNorm], config.RmsNormEpsilon)))];

        double[] Apply(int layer, string module, double[] row) => Multiply(weights[$"{LlamaTensors.Module(layer, module)}.weight"], row);

        double[][] Attention(ModelConfig config, int layer, double[][] rows)
        {
            var size = config.HeadDimension;
            var group = config.HeadCount / config.KeyValueHeadCount;
            var q = rows.Select((row, position) => Rotate(Apply(layer, "self_attn.q_proj", row), position)).ToArray();
            var k = rows.Select((row, position) => Rotate(Apply(layer, "self_attn.k_proj", row), position)).ToArray();
            var v = rows.Select(row => Apply(layer, "self_attn.v_proj", row)).ToArray();
            var result = new double[rows.Length][];
            for (var t = 0; t < rows.Length; t++)
            {
                var mixed = new double[config.HeadCount * size];
                for (var head = 0; head < config.HeadCount; head++)
                {
                    var (own, shared) = (head * size, head / group * size);
                    var scores = Enumerable.Range(0, t + 1)
                        .Select(s => Enumerable.Range(0, size).Sum(e => q[t][own + e] * k[s][shared + e]) / Math.Sqrt(size)).ToArray();
                    var peak = scores.Max();
                    var total = scores.Sum(score => Math.Exp(score - peak));
                    for (var s = 0; s <= t; s++)
                        for (var e = 0; e < size; e++)
                            mixed[own + e] += Math.Exp(scores[s] - peak) / total * v[s][shared + e];
                }
                result[t] = Apply(layer, "self_attn.o_proj", mixed);
            }
            return result;
        }

        double[] Rotate(double[] heads, int position)
        {
            var size = config.HeadDimension;
            var turned = new double[heads.Length];
            for (var start = 0; start < heads.Length; start += size)
            {
                for (var i = 0; i < size / 2; i++)
                {
                    var (sin, cos) = Math.SinCos(position * Math.Pow(config.RopeTheta, -2.0 * i / size));
                    var (a, b) = (heads[start + i], heads[start + i + size / 2]);
                    turned[start + i] = a * cos - b * sin;
                    turned[start + i + size / 2] = b * cos + a * sin;
                }
            }
            return turned;
        }
    }

    private static double[] Norm(double[] x, (long[] Shape, float[] Values) weight, double epsilon)
    {
        var scale = 1 / Math.Sqrt(x.Average(value => value * value) + epsilon);
        return [.. x.Select((value, i) => value * scale * weight.Values[i])];
    }

    private static double[] Multiply((long[] Shape, float[] Values) matrix, double[] x)
    {
        var y = new double[matrix.Shape[0]];
        for (var o = 0; o < y.Length; o++)
            for (var i = 0; i < x.Length; i++)
                y[o] += matrix.Values[o * x.Length + i] * x[i];
        return y;
    }

    private static double[] Row((long[] Shape, float[] Values) matrix, int row) =>
        [.. matrix.Values.AsSpan(row * (int)matrix.Shape[1], (int)matrix.Shape[1]).ToArray().Select(value => (double)value)];

    private static double[][] Add(double[][] a, double[][] b) => [.. a.Zip(b, (x, y) => x.Zip(y, (u, w) => u + w).ToArray())];
}
