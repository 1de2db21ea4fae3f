using System.Globalization;
using System.Security;
using System.Text;
using ModelOps.Client;

namespace ModelOps.Cli.Output;

/// <summary>Size against quality: what a type costs in bytes and in divergence from the source. The numbers stand in the table beside it.</summary>
internal static class QuantizationPlot
{
    private const int Width = 640;
    private const int Height = 400;
    private const int Margin = 64;
    private const int TextColumns = 48;

    /// <summary>A point where size and the logarithm of the divergence meet, named by its type.</summary>
    public static string Svg(IReadOnlyList<QuantizedFile> files)
    {
        var points = Points(files);
        var svg = new StringBuilder();
        svg.AppendLine(CultureInfo.InvariantCulture, $"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {Width} {Height}" font-family="sans-serif" font-size="12" role="img">""");
        svg.AppendLine("<title>Size and quality of quantized models</title>");
        svg.AppendLine(CultureInfo.InvariantCulture, $"<desc>{SecurityElement.Escape(string.Join("; ", points.Select(point => $"{point.Name}: {Human.Bytes(point.Size)}, KL divergence {point.Divergence:G3} nats per token")))}</desc>");
        svg.AppendLine("""<rect width="100%" height="100%" fill="white"/>""");
        svg.AppendLine(CultureInfo.InvariantCulture, $"""<path d="M{Margin} {Margin / 2}V{Height - Margin}H{Width - (Margin / 2)}" fill="none" stroke="#444"/>""");
        svg.AppendLine(CultureInfo.InvariantCulture, $"""<text x="{Width / 2}" y="{Height - 16}" text-anchor="middle">size of the file</text>""");
        svg.AppendLine(CultureInfo.InvariantCulture, $"""<text x="18" y="{Height / 2}" text-anchor="middle" transform="rotate(-90 18 {Height / 2})">KL divergence from the source, nats per token (log)</text>""");
        foreach (var point in points)
        {
            var (x, y) = (Margin + (point.X * (Width - (2 * Margin))), Height - Margin - (point.Y * (Height - (2 * Margin))));
            svg.AppendLine(CultureInfo.InvariantCulture, $"""<circle cx="{x:0.#}" cy="{y:0.#}" r="4" fill="#1565c0"><title>{SecurityElement.Escape(point.Name)}: {Human.Bytes(point.Size)}, {point.Divergence:G3}</title></circle>""");
            svg.AppendLine(CultureInfo.InvariantCulture, $"""<text x="{x + 7:0.#}" y="{y - 5:0.#}">{SecurityElement.Escape(point.Name)}</text>""");
        }
        return svg.AppendLine("</svg>").ToString();
    }

    /// <summary>For a terminal: a bar of each type's divergence, on the same logarithmic scale.</summary>
    public static IEnumerable<string> Lines(IReadOnlyList<QuantizedFile> files)
    {
        var points = Points(files);
        if (points.Count < 2) yield break;
        var (names, sizes) = (points.Max(point => point.Name.Length), points.Max(point => Human.Bytes(point.Size).Length));
        yield return "KL divergence from the source (log), the shorter the better:";
        foreach (var point in points.OrderByDescending(point => point.Size))
            yield return $"{point.Name.PadRight(names)}  {Human.Bytes(point.Size).PadLeft(sizes)}  {new string('#', 1 + (int)Math.Round(point.Y * (TextColumns - 1)))} {point.Divergence:G3}";
    }

    private static List<Point> Points(IReadOnlyList<QuantizedFile> files)
    {
        // A file that equals its source has no logarithm: it stands where the axis begins.
        const double Least = 1e-9;
        var measured = files.Where(file => file.Quality is not null).ToList();
        if (measured.Count == 0) return [];
        double Log(QuantizedFile file) => Math.Log10(Math.Max(Least, file.Quality!.KlDivergence));
        var (smallest, largest) = (measured.Min(file => file.Size), measured.Max(file => file.Size));
        var (lowest, highest) = (measured.Min(Log), measured.Max(Log));
        return
        [
            .. measured.Select(file => new Point(
                file.Type, file.Size, file.Quality!.KlDivergence, Share(file.Size, smallest, largest), Share(Log(file), lowest, highest))),
        ];
    }

    private static double Share(double value, double low, double high) => high > low ? (value - low) / (high - low) : 0.5;

    /// <param name="X">0 is the smallest file, 1 the largest.</param>
    /// <param name="Y">0 is the least divergence, 1 the most.</param>
    private sealed record Point(string Name, long Size, double Divergence, double X, double Y);
}
