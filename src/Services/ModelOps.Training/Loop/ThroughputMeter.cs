using ModelOps.Models;
using static TorchSharp.torch;

namespace ModelOps.Training.Loop;

/// <summary>What a step says of speed and memory.</summary>
/// <param name="flopsPerToken">Floating-point operations of a training step per token.</param>
/// <param name="peakFlops">What the machine can do at best per second, in matrix products of fp32.</param>
internal sealed class ThroughputMeter(double flopsPerToken, double peakFlops)
{
    private const double Smoothing = 0.1;
    private double secondsPerStep;

    public void Add(Dictionary<string, double> metrics, int tokens, TimeSpan elapsed, int stepsLeft)
    {
        secondsPerStep = secondsPerStep == 0 ? elapsed.TotalSeconds : secondsPerStep + (Smoothing * (elapsed.TotalSeconds - secondsPerStep));
        metrics[TrainingMetrics.ModelFlopsUtilization] = tokens * flopsPerToken / elapsed.TotalSeconds / peakFlops;
        metrics[TrainingMetrics.Memory] = Environment.WorkingSet;
        metrics[TrainingMetrics.Remaining] = stepsLeft * secondsPerStep;
    }

    /// <summary>Floating-point operations per second of a matrix product of 1024³ in fp32, with the threads that training has; takes about 100 ms.</summary>
    public static double MeasurePeak(Device device, TimeProvider time)
    {
        const int Size = 1024;
        const int Rounds = 4;
        TorchNatives.Load();
        using var scope = NewDisposeScope();
        using var frozen = no_grad();
        var (a, b) = (rand(Size, Size, device: device), rand(Size, Size, device: device));
        var best = double.MaxValue;
        for (var round = 0; round < Rounds; round++)
        {
            using var product = NewDisposeScope();
            var started = time.GetTimestamp();
            a.mm(b)[0, 0].item<float>(); // waits for the device
            best = Math.Min(best, time.GetElapsedTime(started).TotalSeconds);
        }
        return 2.0 * Size * Size * Size / best;
    }
}
