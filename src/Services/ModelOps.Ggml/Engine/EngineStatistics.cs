namespace ModelOps.Ggml;

/// <param name="Active">Sequences that hold a slot.</param>
/// <param name="Queued">Requests that wait for one.</param>
/// <param name="Steps">Batches decoded.</param>
/// <param name="PromptTokens">Read, over all requests.</param>
/// <param name="CompletionTokens">Sampled, over all requests.</param>
public sealed record EngineStatistics(
    int Active, int Queued, long Steps, long PromptTokens, long CompletionTokens, long Completed, long Cancelled, long Failed);
