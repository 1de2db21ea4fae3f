using System.Runtime.InteropServices;
using static TorchSharp.torch;

namespace ModelOps.Models.Weights;

// Shapes: O outputs, I inputs.

/// <summary>A frozen matrix in four bits. It is made fp32 again for each product, in the backward pass too, and never kept so.</summary>
internal sealed class Nf4Weight : LinearWeight
{
    private readonly byte[] codes;
    private readonly byte[] magnitudes;
    private readonly float[] ranges;

    /// <summary>Quantizes; <paramref name="weight_OI"/> stays the caller's.</summary>
    /// <exception cref="ArgumentException">The matrix does not divide into blocks.</exception>
    public Nf4Weight(Tensor weight_OI)
    {
        (Outputs, Inputs) = (weight_OI.shape[0], weight_OI.shape[1]);
        if (Outputs * Inputs % Nf4.Block != 0)
            throw new ArgumentException($"a matrix of [{Outputs}, {Inputs}] does not divide into blocks of {Nf4.Block}", nameof(weight_OI));
        var blocks = (int)(Outputs * Inputs / Nf4.Block);
        codes = new byte[blocks * Nf4.Block / 2];
        magnitudes = new byte[blocks];
        ranges = new float[2 * ((blocks + Nf4.Group - 1) / Nf4.Group)];
        using var scope = NewDisposeScope();
        Nf4.Quantize(MemoryMarshal.Cast<byte, float>(weight_OI.detach().cpu().contiguous().bytes), codes, magnitudes, ranges);
    }

    public override long Outputs { get; }

    public override long Inputs { get; }

    public override long Bytes => codes.LongLength + magnitudes.LongLength + (ranges.LongLength * sizeof(float));

    public override Tensor Apply(Tensor x) => Product.apply(x, this);

    public override Tensor Dense()
    {
        var weight_OI = empty(Outputs, Inputs, dtype: ScalarType.Float32);
        // A thread for each core that training has: the rows of a projection are many milliseconds of work for one.
        var parts = Math.Min(get_num_threads(), magnitudes.Length);
        if (parts == 1) Fill(weight_OI, 0, magnitudes.Length);
        else Parallel.For(0, parts, part => Fill(weight_OI, Boundary(part), Boundary(part + 1)));
        return weight_OI;

        int Boundary(int part) => (int)((long)magnitudes.Length * part / parts);
    }

    public override void Dispose()
    {
    }

    private void Fill(Tensor weight_OI, int from, int to) =>
        Nf4.Dequantize(codes, magnitudes, ranges, MemoryMarshal.Cast<byte, float>(weight_OI.bytes), from, to);

    /// <summary>y = x Ŵᵀ; ∂/∂x = g Ŵ.</summary>
    private sealed class Product : autograd.SingleTensorFunction<Product>
    {
        private const string Weight = "weight";

        public override string Name => "Nf4Product";

        public override Tensor forward(autograd.AutogradContext ctx, params object[] vars)
        {
            var weight = (Nf4Weight)vars[1];
            ctx.save_data(Weight, weight);
            using var weight_OI = weight.Dense();
            return nn.functional.linear((Tensor)vars[0], weight_OI);
        }

        public override List<Tensor> backward(autograd.AutogradContext ctx, Tensor grad_output)
        {
            using (grad_output)
            {
                using var weight_OI = ((Nf4Weight)ctx.get_data(Weight)).Dense();
                return [GradientHandover.Give(grad_output.matmul(weight_OI)), null!];
            }
        }
    }
}
