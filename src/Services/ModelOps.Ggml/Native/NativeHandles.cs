using System.Runtime.InteropServices;

namespace ModelOps.Ggml.Native;

/// <summary>llama_model*.</summary>
internal sealed class ModelHandle : SafeHandle
{
    public ModelHandle(nint model) : base(0, ownsHandle: true) => SetHandle(model);

    public override bool IsInvalid => handle == 0;

    protected override bool ReleaseHandle()
    {
        NativeLlama.FreeModel(handle);
        return true;
    }
}

/// <summary>llama_context* with the threads that compute for it; keeps its model alive.</summary>
internal sealed class ContextHandle : SafeHandle
{
    private readonly ModelHandle model;
    private readonly nint threads;

    /// <param name="context">Owned from now on.</param>
    /// <param name="model">Its model.</param>
    /// <param name="threadCount">Of those that compute, the caller's with them.</param>
    public ContextHandle(nint context, ModelHandle model, int threadCount) : base(0, ownsHandle: true)
    {
        var added = false;
        model.DangerousAddRef(ref added);
        this.model = model;
        SetHandle(context);
        threads = ThreadPool.Create(threadCount);
        if (threads != 0) NativeLlama.AttachThreadPool(this, threads, batchPool: 0);
    }

    public override bool IsInvalid => handle == 0;

    protected override bool ReleaseHandle()
    {
        NativeLlama.FreeContext(handle);
        if (threads != 0) ThreadPool.Free(threads);
        model.DangerousRelease();
        return true;
    }
}

/// <summary>llama_adapter_lora*; keeps its context and by that the model alive, which would free it otherwise.</summary>
internal sealed class AdapterHandle : SafeHandle
{
    private readonly ContextHandle context;

    public AdapterHandle(nint adapter, ContextHandle context) : base(0, ownsHandle: true)
    {
        var added = false;
        context.DangerousAddRef(ref added);
        this.context = context;
        SetHandle(adapter);
    }

    public override bool IsInvalid => handle == 0;

    protected override bool ReleaseHandle()
    {
        NativeLlama.FreeAdapter(handle);
        context.DangerousRelease();
        return true;
    }
}

/// <summary>llama_sampler*: one, or a chain that owns what is added to it.</summary>
internal sealed class SamplerHandle : SafeHandle
{
    private readonly ContextHandle? context;

    /// <param name="sampler">Owned from now on.</param>
    /// <param name="context">Kept alive, and by that the model, whose vocabulary a grammar reads.</param>
    public SamplerHandle(nint sampler, ContextHandle? context = null) : base(0, ownsHandle: true)
    {
        var added = false;
        context?.DangerousAddRef(ref added);
        this.context = context;
        SetHandle(sampler);
    }

    public override bool IsInvalid => handle == 0;

    protected override bool ReleaseHandle()
    {
        NativeLlama.FreeSampler(handle);
        context?.DangerousRelease();
        return true;
    }
}

/// <summary>gguf_context*, a file's header without its data.</summary>
internal sealed class GgufHandle : SafeHandle
{
    public GgufHandle(nint gguf) : base(0, ownsHandle: true) => SetHandle(gguf);

    public override bool IsInvalid => handle == 0;

    protected override bool ReleaseHandle()
    {
        NativeGgml.FreeGguf(handle);
        return true;
    }
}
