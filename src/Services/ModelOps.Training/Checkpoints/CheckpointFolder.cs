using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text.Json;
using ModelOps.ModelFiles;
using ModelOps.ModelFiles.Safetensors;
using static TorchSharp.torch;

namespace ModelOps.Training.Checkpoints;

/// <summary>
/// The checkpoints of one run: safetensors files <c>step-N.safetensors</c>, each complete or not there, whose metadata hold the
/// run's state, its fingerprint and the digest of the tensors.
/// </summary>
/// <param name="path">Made when the first checkpoint is saved.</param>
/// <param name="run">Fingerprint of what the run is made from: a checkpoint with another one is refused.</param>
internal sealed class CheckpointFolder(string path, string run)
{
    private const string RunKey = "run";
    private const string StateKey = "state";
    private const string DigestKey = "sha256";

    /// <summary>Copies the newest checkpoint that is undamaged into <paramref name="tensors"/>.</summary>
    /// <returns>Its state; null where there is none: the run begins.</returns>
    /// <exception cref="TrainingFailedException">The checkpoints are of another run.</exception>
    public RunState? Restore(IReadOnlyList<(string Name, Tensor Tensor)> tensors)
    {
        foreach (var steps in Saved().OrderDescending())
            if (TryRestore(steps, tensors) is { } state) return state;
        return null;
    }

    /// <summary>Copies the checkpoint after that many steps into <paramref name="tensors"/>, which may be some of those saved.</summary>
    /// <returns>Its state; null if it is gone or damaged: then the tensors may hold a part of it.</returns>
    /// <exception cref="TrainingFailedException">It is of another run.</exception>
    public RunState? TryRestore(int steps, IReadOnlyList<(string Name, Tensor Tensor)> tensors)
    {
        try
        {
            using var file = SafetensorsFile.Open(FileOf(steps));
            if (file.Metadata.GetValueOrDefault(RunKey) != run) throw OfAnotherRun();
            if (file.Metadata.GetValueOrDefault(DigestKey) != Digest(file)) return null;
            using var frozen = no_grad();
            foreach (var (name, tensor) in tensors) Copy(file, name, tensor);
            return JsonSerializer.Deserialize(file.Metadata[StateKey], CheckpointJson.Default.RunState);
        }
        catch (Exception damage) when (damage is IOException or InvalidModelFileException)
        {
            return null;
        }
    }

    public SavedCheckpoint Save(RunState state, IReadOnlyList<(string Name, Tensor Tensor)> tensors)
    {
        var sources = tensors.Select(named => new TensorSource(
            named.Name, Dtype.F32, named.Tensor.shape, stream => Read(named.Tensor, stream.Write))).ToList();
        SafetensorsWriter.Write(FileOf(state.Steps), sources, new Dictionary<string, string>
        {
            [RunKey] = run,
            [StateKey] = JsonSerializer.Serialize(state, CheckpointJson.Default.RunState),
            [DigestKey] = Digest(tensors),
        });
        foreach (var old in CheckpointFiles.Outdated(Saved(), state.Best?.Steps)) File.Delete(FileOf(old));
        return new(FileOf(state.Steps), state.Steps, state.Best?.Steps);
    }

    private List<int> Saved() => !Directory.Exists(path) ? [] : [.. Directory.EnumerateFiles(path).Select(file => CheckpointFiles.StepsOf(Path.GetFileName(file))).OfType<int>()];

    private static void Copy(SafetensorsFile file, string name, Tensor target)
    {
        using var scope = NewDisposeScope();
        var read = empty(target.shape, dtype: ScalarType.Float32);
        file.ReadFloats(name, 0, MemoryMarshal.Cast<byte, float>(read.bytes));
        target.copy_(read);
    }

    private static void Read(Tensor tensor, Action<ReadOnlySpan<byte>> use)
    {
        using var scope = NewDisposeScope();
        use(tensor.detach().cpu().contiguous().bytes);
    }

    private static string Digest(IEnumerable<(string Name, Tensor Tensor)> tensors)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (var (_, tensor) in tensors.OrderBy(named => named.Name, StringComparer.Ordinal)) Read(tensor, hash.AppendData);
        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    private static string Digest(SafetensorsFile file)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (var tensor in file.Tensors.Values.OrderBy(tensor => tensor.Name, StringComparer.Ordinal))
        {
            var bytes = new byte[tensor.Length];
            file.Read(tensor.Name, bytes);
            hash.AppendData(bytes);
        }
        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    private TrainingFailedException OfAnotherRun() => new(
        TrainingFailure.OtherCheckpoints,
        $"{path} has checkpoints of a run with another recipe, other rows or another base model; delete the folder to start anew, or choose another one");

    private string FileOf(int steps) => Path.Combine(path, CheckpointFiles.NameOf(steps));
}
