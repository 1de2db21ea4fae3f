using ModelOps.ModelFiles;

namespace ModelOps.Services.Tests.Conversion;

/// <summary>A Llama decoder written down from the definition, in doubles and loops, with Hugging Face's weight layout: the reference that a
/// converted model is compared with.</summary>
internal sealed class ScalarLlama(ModelFolder model)
{
    private readonly ModelConfig config = model.Config;
    private readonly Dictionary<string, float[]> weights = ReadAll(model);

    /// <returns>(tokens, vocabulary).</returns>
    public double[][] Logits(int[] tokens)
    {
        var embedding = weights[LlamaTensors.Embedding];
        var states = tokens.Select(token => Row(embedding, token, config.HiddenSize)).ToArray();
        for (var layer = 0; layer < config.LayerCount; layer++)
        {
            var attended = Attend(layer, [.. states.Select(state => Norm(state, Weight(layer, "input_layernorm")))]);
            for (var t = 0; t < states.Length; t++) states[t] = Sum(states[t], attended[t]);
            for (var t = 0; t < states.Length; t++)
                states[t] = Sum(states[t], FeedForward(layer, Norm(states[t], Weight(layer, "post_attention_layernorm"))));
        }

        var head = config.TieWordEmbeddings ? embedding : weights[LlamaTensors.Head];
        return [.. states.Select(state => Multiply(head, Norm(state, weights[LlamaTensors.FinalNorm])))];
    }

    private double[][] Attend(int layer, double[][] inputs)
    {
        var size = config.HeadDimension;
        var queries = Project(layer, "self_attn.q_proj", inputs);
        var keys = Project(layer, "self_attn.k_proj", inputs);
        var values = Project(layer, "self_attn.v_proj", inputs);
        for (var t = 0; t < inputs.Length; t++)
        {
            Rotate(queries[t], t);
            Rotate(keys[t], t);
        }

        var output = new double[inputs.Length][];
        for (var t = 0; t < inputs.Length; t++)
        {
            var mixed = new double[config.HeadCount * size];
            for (var head = 0; head < config.HeadCount; head++)
            {
                var shared = head / (config.HeadCount / config.KeyValueHeadCount);
                var query = queries[t].AsSpan(head * size, size).ToArray();
                var scores = keys[..(t + 1)].Select(
                    key => query.Select((value, i) => value * key[(shared * size) + i]).Sum() / Math.Sqrt(size)).ToArray();
                var largest = scores.Max();
                var total = scores.Sum(score => Math.Exp(score - largest));
                for (var s = 0; s <= t; s++)
                {
                    for (var i = 0; i < size; i++)
                        mixed[(head * size) + i] += Math.Exp(scores[s] - largest) / total * values[s][(shared * size) + i];
                }
            }

            output[t] = Multiply(Weight(layer, "self_attn.o_proj"), mixed);
        }

        return output;
    }

    private double[] FeedForward(int layer, double[] input)
    {
        var gate = Multiply(Weight(layer, "mlp.gate_proj"), input);
        var up = Multiply(Weight(layer, "mlp.up_proj"), input);
        return Multiply(Weight(layer, "mlp.down_proj"), [.. gate.Zip(up, (g, u) => g / (1 + Math.Exp(-g)) * u)]);
    }

    // Element i of a head turns with i + d/2, by position * theta^(-2i/d).
    private void Rotate(double[] heads, int position)
    {
        var (size, half) = (config.HeadDimension, config.HeadDimension / 2);
        for (var start = 0; start < heads.Length; start += size)
        {
            for (var i = 0; i < half; i++)
            {
                var (sin, cos) = Math.SinCos(position * Math.Pow(config.RopeTheta, -2.0 * i / size));
                var (first, second) = (heads[start + i], heads[start + half + i]);
                heads[start + i] = (first * cos) - (second * sin);
                heads[start + half + i] = (second * cos) + (first * sin);
            }
        }
    }

    private double[] Norm(double[] state, float[] weight)
    {
        var scale = 1 / Math.Sqrt(state.Average(value => value * value) + config.RmsNormEpsilon);
        return [.. state.Select((value, i) => value * scale * weight[i])];
    }

    private double[][] Project(int layer, string module, double[][] inputs) =>
        [.. inputs.Select(input => Multiply(Weight(layer, module), input))];

    private float[] Weight(int layer, string module) => weights[$"{LlamaTensors.Module(layer, module)}.weight"];

    private static double[] Multiply(float[] weight, double[] input) =>
        [.. Enumerable.Range(0, weight.Length / input.Length)
            .Select(row => input.Select((value, column) => value * weight[(row * input.Length) + column]).Sum())];

    private static double[] Row(float[] matrix, int row, int columns) =>
        [.. matrix.AsSpan(row * columns, columns).ToArray().Select(value => (double)value)];

    private static double[] Sum(double[] left, double[] right) => [.. left.Zip(right, (l, r) => l + r)];

    private static Dictionary<string, float[]> ReadAll(ModelFolder model)
    {
        using var open = model.OpenWeights();
        return model.Weights.Keys.ToDictionary(name => name, open.ReadFloats);
    }
}
