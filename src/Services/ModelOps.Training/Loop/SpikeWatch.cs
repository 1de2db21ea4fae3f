namespace ModelOps.Training.Loop;

/// <summary>
/// Tells a run that left its course from one that is merely noisy: <see cref="Patience"/> losses in a row above three times the median of the
/// latest ones, or of what the untrained model had, and a nat above it besides, so that a loss near zero may jump.
/// </summary>
/// <param name="before">Loss of the model before the first step.</param>
internal sealed class SpikeWatch(IEnumerable<double> recent, double before)
{
    private const int Window = 50;
    private const int Least = 20;
    private const int Patience = 8;
    private readonly List<double> losses = [.. recent];

    public IReadOnlyList<double> Recent => [.. losses];

    /// <summary>Median of the losses before the latest <see cref="Patience"/>, or the loss before the first step if that is lower.</summary>
    public double Usual => Math.Min(before, losses.Take(losses.Count - Patience).Order().ElementAt((losses.Count - Patience) / 2));

    public bool HasLeftCourse => losses.Count >= Least + Patience && losses.TakeLast(Patience).All(loss => loss > (3 * Usual) + 1);

    public void Add(double loss)
    {
        losses.Add(loss);
        if (losses.Count > Window) losses.RemoveAt(0);
    }
}
