using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace RegCache.Lab.Quantization.Kernels;

/// <summary>An elementwise function of float32 values, as a struct so that the loop around it is compiled for it.</summary>
internal interface IVectorOperation
{
    Vector512<float> Apply(Vector512<float> values);
}

/// <summary>
/// Elementwise functions over float32 memory in one pass, on all cores. The tensor operators would take one pass for
/// every arithmetic step.
/// </summary>
internal static class VectorKernel
{
    private const int ElementsPerTask = 1 << 16;

    // Spans of a tensor's bytes end at 2 GiB.
    private const long MostElements = int.MaxValue / sizeof(float);

    /// <summary>Whether the memory of the tensor is float32, on the CPU, without gaps, and outside any gradient.</summary>
    public static bool CanRead(Tensor tensor) =>
        tensor.device_type == DeviceType.CPU
        && tensor.dtype == torch.ScalarType.Float32
        && tensor.NumberOfElements <= MostElements
        && tensor.is_contiguous()
        && !(torch.is_grad_enabled() && tensor.requires_grad);

    /// <summary>The values of a small float32 tensor on the CPU.</summary>
    public static float[] Values(Tensor tensor) => MemoryMarshal.Cast<byte, float>(tensor.bytes).ToArray();

    /// <summary>Applies one operation to each of the equal parts that a tensor consists of.</summary>
    /// <param name="input">The values; may be the output.</param>
    /// <param name="output">Takes the results.</param>
    /// <param name="operations">One operation a part.</param>
    public static void Map<TOperation>(Tensor input, Tensor output, TOperation[] operations)
        where TOperation : struct, IVectorOperation
    {
        var length = input.NumberOfElements / operations.Length;
        Run(input, output, operations.Length, length, part => (part * length, part * length, operations[part]));
    }

    /// <summary>
    /// Applies several operations to the same values: [I,S] to [I,K,S] with result <c>[i,k] = operation k (values[i])</c>.
    /// </summary>
    /// <param name="input">The values.</param>
    /// <param name="output">Takes the results.</param>
    /// <param name="images">Number I of parts.</param>
    /// <param name="operations">The K operations.</param>
    public static void Expand<TOperation>(Tensor input, Tensor output, long images, TOperation[] operations)
        where TOperation : struct, IVectorOperation
    {
        var length = input.NumberOfElements / images;
        Run(input, output, images * operations.Length, length, part =>
            (part / operations.Length * length, part * length, operations[part % operations.Length]));
    }

    private static unsafe void Run<TOperation>(
        Tensor input, Tensor output, long parts, long length, Func<long, (long From, long To, TOperation Operation)> part)
        where TOperation : struct, IVectorOperation
    {
        if (parts * length == 0)
        {
            return;
        }

        fixed (byte* read = input.bytes, write = output.bytes)
        {
            var (from, to) = ((nint)read, (nint)write);
            var chunk = Math.Min(length, ElementsPerTask);
            var chunks = (length + chunk - 1) / chunk;

            void RunChunk(long index)
            {
                var (segment, number) = Math.DivRem(index, chunks);
                var (source, target, operation) = part(segment);
                var size = (int)Math.Min(chunk, length - (number * chunk));
                Apply(
                    new ReadOnlySpan<float>((float*)from + source + (number * chunk), size),
                    new Span<float>((float*)to + target + (number * chunk), size),
                    operation);
            }

            if (parts * length <= ElementsPerTask)
            {
                for (long index = 0; index < parts * chunks; index++)
                {
                    RunChunk(index);
                }
            }
            else
            {
                Parallel.For(0, parts * chunks, TensorLibrary.OwnThreads, RunChunk);
            }
        }

        GC.KeepAlive(input);
        GC.KeepAlive(output);
    }

    private static void Apply<TOperation>(ReadOnlySpan<float> input, Span<float> output, TOperation operation)
        where TOperation : struct, IVectorOperation
    {
        var position = 0;
        for (; position <= input.Length - Vector512<float>.Count; position += Vector512<float>.Count)
        {
            operation.Apply(Vector512.Create(input[position..])).CopyTo(output[position..]);
        }

        if (position < input.Length)
        {
            // The rest takes the same instructions as the body, so a value's result does not depend on its place.
            Span<float> rest = stackalloc float[Vector512<float>.Count];
            input[position..].CopyTo(rest);
            operation.Apply(Vector512.Create((ReadOnlySpan<float>)rest)).CopyTo(rest);
            rest[..(input.Length - position)].CopyTo(output[position..]);
        }
    }
}

/// <summary><see cref="UniformQuantizer.FakeQuantize"/> with one scale and zero point; the same bits as the tensor operators.</summary>
internal readonly struct UniformOperation : IVectorOperation
{
    private readonly Vector512<float> _scale, _shift, _unshift, _lowest, _highest;

    public UniformOperation(float scale, float? zeroPoint, float lowest, float highest)
    {
        _scale = Vector512.Create(scale);
        // x + -0 is x for every x, and x - 0 too: without a zero point negative zeros stay as the tensor operators leave them.
        (_shift, _unshift) = (Vector512.Create(zeroPoint ?? -0f), Vector512.Create(zeroPoint ?? 0f));
        (_lowest, _highest) = (Vector512.Create(lowest), Vector512.Create(highest));
    }

    public Vector512<float> Apply(Vector512<float> values)
    {
        var codes = Vector512.Round(values / _scale) + _shift;
        // MaxNative/MinNative with the value second keep NaN, as clamp does.
        var clipped = Vector512.MinNative(_highest, Vector512.MaxNative(_lowest, codes));
        return (clipped - _unshift) * _scale;
    }
}
