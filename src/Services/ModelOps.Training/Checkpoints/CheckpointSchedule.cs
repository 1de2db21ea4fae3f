using static TorchSharp.torch;

namespace ModelOps.Training.Checkpoints;

/// <summary>Saves often enough that a kill costs little, and seldom enough that saving does: at most a twentieth of the time.</summary>
/// <param name="interval">Least time between two checkpoints.</param>
/// <param name="told">Of each that is complete.</param>
internal sealed class CheckpointSchedule(CheckpointFolder folder, TimeSpan interval, TimeProvider time, Action<SavedCheckpoint>? told = null)
{
    private const int Share = 20;

    private long saved = time.GetTimestamp();
    private TimeSpan cost;

    public bool IsDue() => time.GetElapsedTime(saved) >= TimeSpan.FromTicks(Math.Max(interval.Ticks, Share * cost.Ticks));

    public void Save(RunState state, IReadOnlyList<(string Name, Tensor Tensor)> tensors)
    {
        var started = time.GetTimestamp();
        var checkpoint = folder.Save(state, tensors);
        saved = time.GetTimestamp();
        cost = time.GetElapsedTime(started, saved);
        told?.Invoke(checkpoint);
    }

    public RunState? Restore(IReadOnlyList<(string Name, Tensor Tensor)> tensors) => folder.Restore(tensors);

    /// <exception cref="IOException">Its checkpoint is gone or damaged.</exception>
    public void RestoreBest(ValidationMark best, IReadOnlyList<(string Name, Tensor Tensor)> tensors)
    {
        if (folder.TryRestore(best.Steps, tensors) is null)
            throw new IOException($"the checkpoint of the best validation, after step {best.Steps}, is gone or damaged");
    }
}
