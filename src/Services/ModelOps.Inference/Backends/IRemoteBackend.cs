namespace ModelOps.Inference;

/// <summary>A server of others that answers for models; it says itself for which.</summary>
public interface IRemoteBackend : IInferenceBackend
{
    /// <summary>The names under which it knows its models; that it answers also shows that it lives.</summary>
    /// <exception cref="InferenceException">It does not answer.</exception>
    Task<IReadOnlyList<string>> ListModelsAsync(CancellationToken cancellationToken);
}
