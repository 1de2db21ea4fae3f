using System.Runtime.InteropServices;

namespace ModelOps.Ggml.Native;

/// <summary>The parts of ggml.h, ggml-backend.h and gguf.h that are used, of the pinned build.</summary>
internal static unsafe partial class NativeGgml
{
    [LibraryImport(NativeLibraries.Base, EntryPoint = "ggml_version")]
    public static partial nint Version();

    [LibraryImport(NativeLibraries.Base, EntryPoint = "ggml_commit")]
    public static partial nint Commit();

    [LibraryImport(NativeLibraries.Base, EntryPoint = "ggml_log_set")]
    public static partial void LogSet(delegate* unmanaged[Cdecl]<int, byte*, void*, void> callback, void* data);

    [LibraryImport(NativeLibraries.Ggml, EntryPoint = "ggml_backend_load_all_from_path", StringMarshalling = StringMarshalling.Utf8)]
    public static partial void LoadBackends(string folder);

    [LibraryImport(NativeLibraries.Ggml, EntryPoint = "ggml_backend_dev_count")]
    public static partial nuint DeviceCount();

    [LibraryImport(NativeLibraries.Ggml, EntryPoint = "ggml_backend_dev_get")]
    public static partial nint Device(nuint index);

    [LibraryImport(NativeLibraries.Base, EntryPoint = "ggml_backend_dev_name")]
    public static partial nint DeviceName(nint device);

    [LibraryImport(NativeLibraries.Base, EntryPoint = "ggml_backend_dev_description")]
    public static partial nint DeviceDescription(nint device);

    [LibraryImport(NativeLibraries.Ggml, EntryPoint = "ggml_backend_dev_by_type")]
    public static partial nint DeviceOfType(int type);

    [LibraryImport(NativeLibraries.Base, EntryPoint = "ggml_backend_dev_backend_reg")]
    public static partial nint BackendOf(nint device);

    [LibraryImport(NativeLibraries.Base, EntryPoint = "ggml_backend_reg_get_proc_address", StringMarshalling = StringMarshalling.Utf8)]
    public static partial nint FunctionOf(nint backend, string name);

    [LibraryImport(NativeLibraries.Base, EntryPoint = "ggml_threadpool_params_init")]
    public static partial void ThreadPoolDefaults(ThreadPoolParams* parameters, int threads);

    [LibraryImport(NativeLibraries.Base, EntryPoint = "ggml_type_name")]
    public static partial nint TypeName(int type);

    [LibraryImport(NativeLibraries.Base, EntryPoint = "ggml_blck_size")]
    public static partial long BlockSize(int type);

    [LibraryImport(NativeLibraries.Base, EntryPoint = "gguf_init_from_file", StringMarshalling = StringMarshalling.Utf8)]
    public static partial nint OpenGguf(string path, GgufParams parameters);

    [LibraryImport(NativeLibraries.Base, EntryPoint = "gguf_free")]
    public static partial void FreeGguf(nint gguf);

    [LibraryImport(NativeLibraries.Base, EntryPoint = "gguf_get_data_offset")]
    public static partial nuint DataOffset(GgufHandle gguf);

    [LibraryImport(NativeLibraries.Base, EntryPoint = "gguf_find_key", StringMarshalling = StringMarshalling.Utf8)]
    public static partial long FindKey(GgufHandle gguf, string key);

    [LibraryImport(NativeLibraries.Base, EntryPoint = "gguf_get_kv_type")]
    public static partial int ValueType(GgufHandle gguf, long key);

    // The getters abort the process if the value is of another type: ask for that first.
    [LibraryImport(NativeLibraries.Base, EntryPoint = "gguf_get_val_u32")]
    public static partial uint UInt32Value(GgufHandle gguf, long key);

    [LibraryImport(NativeLibraries.Base, EntryPoint = "gguf_get_val_f32")]
    public static partial float Float32Value(GgufHandle gguf, long key);

    [LibraryImport(NativeLibraries.Base, EntryPoint = "gguf_get_val_str")]
    public static partial nint StringValue(GgufHandle gguf, long key);

    [LibraryImport(NativeLibraries.Base, EntryPoint = "gguf_get_arr_type")]
    public static partial int ArrayType(GgufHandle gguf, long key);

    [LibraryImport(NativeLibraries.Base, EntryPoint = "gguf_get_arr_n")]
    public static partial nuint ArrayLength(GgufHandle gguf, long key);

    [LibraryImport(NativeLibraries.Base, EntryPoint = "gguf_get_arr_str")]
    public static partial byte* ArrayString(GgufHandle gguf, long key, nuint index);

    [LibraryImport(NativeLibraries.Base, EntryPoint = "gguf_get_n_tensors")]
    public static partial long TensorCount(GgufHandle gguf);

    [LibraryImport(NativeLibraries.Base, EntryPoint = "gguf_get_tensor_name")]
    public static partial nint TensorName(GgufHandle gguf, long tensor);

    [LibraryImport(NativeLibraries.Base, EntryPoint = "gguf_get_tensor_type")]
    public static partial int TensorType(GgufHandle gguf, long tensor);

    [LibraryImport(NativeLibraries.Base, EntryPoint = "gguf_get_tensor_size")]
    public static partial nuint TensorSize(GgufHandle gguf, long tensor);

    [LibraryImport(NativeLibraries.Base, EntryPoint = "gguf_get_tensor_offset")]
    public static partial nuint TensorOffset(GgufHandle gguf, long tensor);

    /// <returns>Four dimensions, the row length first; those that are not used are 1.</returns>
    [LibraryImport(NativeLibraries.Base, EntryPoint = "gguf_get_tensor_ne")]
    public static partial long* TensorShape(GgufHandle gguf, long tensor);

    [LibraryImport(NativeLibraries.Base, EntryPoint = "ggml_init")]
    public static partial nint CreateContext(GgmlInit parameters);

    [LibraryImport(NativeLibraries.Base, EntryPoint = "ggml_free")]
    public static partial void FreeContext(nint context);

    [LibraryImport(NativeLibraries.Base, EntryPoint = "ggml_new_tensor_2d")]
    public static partial Tensor* NewMatrix(nint context, int type, long columns, long rows);

    [LibraryImport(NativeLibraries.Base, EntryPoint = "ggml_mul_mat")]
    public static partial Tensor* Multiply(nint context, Tensor* left, Tensor* right);

    [LibraryImport(NativeLibraries.Base, EntryPoint = "ggml_set_name", StringMarshalling = StringMarshalling.Utf8)]
    public static partial Tensor* SetName(Tensor* tensor, string name);

    [LibraryImport(NativeLibraries.Base, EntryPoint = "ggml_get_data")]
    public static partial nint Data(Tensor* tensor);

    [LibraryImport(NativeLibraries.Base, EntryPoint = "ggml_op_name")]
    public static partial nint OperationName(int operation);
}
