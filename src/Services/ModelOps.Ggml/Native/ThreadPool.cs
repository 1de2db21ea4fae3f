namespace ModelOps.Ggml.Native;

/// <summary>
/// ggml_threadpool: threads that stay from one step to the next. Without one, ggml makes and joins the threads of every step anew, which
/// costs a small model more than its arithmetic.
/// </summary>
internal static unsafe class ThreadPool
{
    private const int CpuDevice = 0; // GGML_BACKEND_DEVICE_TYPE_CPU

    // ggml's default, 50, spins for tens of milliseconds after each step: beside a server these are others' cores. One is about a
    // millisecond, longer than the sampling between two steps takes.
    private const uint Polling = 1;

    // The functions are in the library of the CPU backend that suits this machine, which ggml has loaded.
    private static readonly nint create = Function("ggml_threadpool_new");
    private static readonly nint free = Function("ggml_threadpool_free");

    /// <returns>0 for one thread: the caller's computes alone.</returns>
    /// <exception cref="GgmlException">The threads cannot be made.</exception>
    public static nint Create(int threads)
    {
        if (threads <= 1) return 0;
        var parameters = default(ThreadPoolParams);
        NativeGgml.ThreadPoolDefaults(&parameters, threads);
        parameters.Polling = Polling;
        var pool = ((delegate* unmanaged[Cdecl]<ThreadPoolParams*, nint>)create)(&parameters);
        return pool != 0 ? pool : throw new GgmlException($"ggml cannot make {threads} threads.");
    }

    public static void Free(nint pool) => ((delegate* unmanaged[Cdecl]<nint, void>)free)(pool);

    private static nint Function(string name)
    {
        var device = NativeGgml.DeviceOfType(CpuDevice);
        var function = device == 0 ? 0 : NativeGgml.FunctionOf(NativeGgml.BackendOf(device), name);
        return function != 0 ? function : throw new GgmlException($"ggml's CPU backend has no {name}.");
    }
}
