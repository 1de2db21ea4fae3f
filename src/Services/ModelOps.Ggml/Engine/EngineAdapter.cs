using ModelOps.Ggml.Native;

namespace ModelOps.Ggml;

/// <summary>One version of an adapter, or, without a handle, the model itself.</summary>
internal sealed class EngineAdapter(AdapterHandle? handle)
{
    public AdapterHandle? Handle { get; } = handle;

    /// <summary>Requests, waiting ones too, that began with this version. Under the engine's gate.</summary>
    public int Users { get; set; }

    /// <summary>The step that last decoded for it; 0 if none did. Of the engine's thread.</summary>
    public long LastStep { get; set; }
}
