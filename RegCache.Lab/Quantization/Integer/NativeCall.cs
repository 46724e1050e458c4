namespace RegCache.Lab.Quantization.Integer;

/// <summary>Memory and failures of calls into the kernels.</summary>
internal static unsafe class NativeCall
{
    // Spans of a tensor's bytes end at 2 GiB.
    private const long MostBytes = int.MaxValue;

    /// <summary>Whether the kernels can read the tensor: on the CPU, float32 or bfloat16, not too large.</summary>
    public static bool CanRead(Tensor tensor) =>
        tensor.device_type == DeviceType.CPU
        && tensor.dtype is torch.ScalarType.Float32 or torch.ScalarType.BFloat16
        && tensor.NumberOfElements * tensor.ElementSize <= MostBytes;

    /// <summary>Where a dense tensor's memory begins. It stays there; keep the tensor alive.</summary>
    public static void* Address(Tensor tensor)
    {
        fixed (byte* start = tensor.bytes)
        {
            return start;
        }
    }

    /// <summary>The memory of a tensor, or null.</summary>
    public static float* Floats(Tensor? tensor) => tensor is null ? null : (float*)Address(tensor);

    /// <summary>Seconds that all threads together spent in the kernels since the last call, by kind of work.</summary>
    public static NativeTimes TakeTimes()
    {
        NativeTimes times;
        Native.rc_take_times(&times);
        return times;
    }

    /// <summary>Throws what a call reported.</summary>
    public static void Check(int status)
    {
        if (status != Native.Succeeded)
        {
            throw new InvalidOperationException($"oneDNN: {Native.LastError}.");
        }
    }

    /// <summary>Throws what a call on activations reported.</summary>
    /// <param name="status">The call's result.</param>
    /// <param name="place">Where an activation was not finite.</param>
    /// <param name="length">Rows of an image.</param>
    /// <param name="layers">The layers of the call.</param>
    /// <exception cref="UserException">An activation is not finite; the message names its layer and image.</exception>
    public static void Check(int status, NativePlace place, int length, params ReadOnlySpan<OneDnnLinear> layers)
    {
        if (status == Native.NotFinite)
        {
            throw FiniteCheck.Refusal(layers[place.Layer].Name, place.Row / length);
        }

        Check(status);
    }
}
