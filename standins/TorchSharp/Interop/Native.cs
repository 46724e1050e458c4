using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace TorchSharp.Interop;

/// <summary>The bridge's functions (native/bridge.cpp). Everything is blittable, so a call is a plain native call.</summary>
internal static unsafe class Native
{
    internal const string Library = "TorchSharpBridge";

    [DllImport(Library)]
    public static extern byte* tsb_last_error();

    [DllImport(Library)]
    public static extern byte* tsb_version();

    [DllImport(Library)]
    public static extern long tsb_live_handles();

    [DllImport(Library)]
    public static extern void* tsb_operator(byte* text, int length);

    [DllImport(Library)]
    public static extern int tsb_call(void* op, Value* arguments, int count, Value* results, int capacity);

    [DllImport(Library)]
    public static extern void tsb_release(nint tensor);

    [DllImport(Library)]
    public static extern nint tsb_alias(nint tensor);

    [DllImport(Library)]
    public static extern nint tsb_from_memory(
        void* data, long* sizes, int dimensions, int dtype, delegate* unmanaged<nint, void> drop, nint context);

    [DllImport(Library)]
    public static extern void* tsb_data(nint tensor);

    // Reads a few fields and returns, so the runtime need not be told that the thread has left managed code.
    [DllImport(Library)]
    [SuppressGCTransition]
    public static extern int tsb_info(nint tensor, TensorInfo* info);

    [DllImport(Library)]
    [SuppressGCTransition]
    public static extern int tsb_sizes(nint tensor, long* sizes);

    [DllImport(Library)]
    [SuppressGCTransition]
    public static extern int tsb_strides(nint tensor, long* strides);

    [DllImport(Library)]
    public static extern int tsb_set_requires_grad(nint tensor, int value);

    [DllImport(Library)]
    public static extern int tsb_is_leaf(nint tensor);

    [DllImport(Library)]
    public static extern int tsb_retain_grad(nint tensor);

    [DllImport(Library)]
    public static extern int tsb_grad(nint tensor, nint* result);

    [DllImport(Library)]
    public static extern int tsb_set_grad(nint tensor, nint grad);

    [DllImport(Library)]
    public static extern int tsb_backward(
        nint* roots, int rootCount, nint* grads, int gradCount, nint* inputs, int inputCount, int retainGraph, int createGraph);

    [DllImport(Library)]
    public static extern int tsb_gradients(
        nint* outputs, int outputCount, nint* inputs, int inputCount, nint* grads, int gradCount,
        int retainGraph, int createGraph, int allowUnused, nint* results);

    [DllImport(Library)]
    [SuppressGCTransition]
    public static extern int tsb_grad_mode();

    [DllImport(Library)]
    [SuppressGCTransition]
    public static extern void tsb_set_grad_mode(int enabled);

    [DllImport(Library)]
    [SuppressGCTransition]
    public static extern int tsb_inference_mode();

    [DllImport(Library)]
    public static extern nint tsb_begin_inference_mode(int enabled);

    [DllImport(Library)]
    public static extern void tsb_end_inference_mode(nint mode);

    [DllImport(Library)]
    public static extern int tsb_manual_seed(long seed);

    [DllImport(Library)]
    public static extern nint tsb_generator(long seed, long device);

    [DllImport(Library)]
    public static extern nint tsb_default_generator(long device);

    [DllImport(Library)]
    public static extern void tsb_release_generator(nint generator);

    [DllImport(Library)]
    public static extern int tsb_seed_generator(nint generator, long seed);

    [DllImport(Library)]
    public static extern long tsb_reseed_generator(nint generator);

    [DllImport(Library)]
    public static extern long tsb_initial_seed(nint generator);

    [DllImport(Library)]
    public static extern nint tsb_generator_state(nint generator);

    [DllImport(Library)]
    public static extern int tsb_set_generator_state(nint generator, nint state);

    [DllImport(Library)]
    public static extern int tsb_threads();

    [DllImport(Library)]
    public static extern int tsb_set_threads(int count);

    [DllImport(Library)]
    public static extern int tsb_interop_threads();

    [DllImport(Library)]
    public static extern int tsb_set_interop_threads(int count);

    [DllImport(Library)]
    public static extern int tsb_device_count();

    [DllImport(Library)]
    public static extern int tsb_has_cudnn();

    [DllImport(Library)]
    public static extern int tsb_synchronize(long device);

    [DllImport(Library)]
    public static extern int tsb_seed_cuda(long seed, int index);

    /// <summary>libtorch's last message on this thread, as the exception that TorchSharp throws for it.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public static ExternalException Error() => new(Marshal.PtrToStringUTF8((nint)tsb_last_error()));

    /// <summary>Throws libtorch's last message where a status says that a call failed.</summary>
    public static void Check(int status)
    {
        if (status == 0)
        {
            throw Error();
        }
    }

    /// <summary>Passes a pointer on, or throws libtorch's last message where it is null.</summary>
    public static nint Check(nint pointer) => pointer != 0 ? pointer : throw Error();
}
