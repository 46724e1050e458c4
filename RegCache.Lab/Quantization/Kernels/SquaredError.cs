using System.Runtime.Intrinsics;

namespace RegCache.Lab.Quantization.Kernels;

/// <summary>Sums of squared differences between values and what quantizers make of them, without storing the latter.</summary>
internal static class SquaredError
{
    private const int ElementsPerTask = 1 << 16;

    /// <summary>Sums the errors of K operations for each of R equal parts.</summary>
    /// <param name="values">Float32 values on the CPU without gaps.</param>
    /// <param name="operations">The operations [R][K].</param>
    /// <returns>The sums [R][K].</returns>
    public static unsafe double[][] Sum<TOperation>(Tensor values, TOperation[][] operations)
        where TOperation : struct, IVectorOperation
    {
        var length = values.NumberOfElements / operations.Length;
        var chunk = Math.Min(Math.Max(1, length), ElementsPerTask);
        var chunks = (length + chunk - 1) / chunk;
        var partial = new double[operations.Length * chunks][];
        fixed (byte* memory = values.bytes)
        {
            var start = (nint)memory;
            Parallel.For(0, partial.Length, TensorLibrary.OwnThreads, index =>
            {
                var (part, number) = Math.DivRem(index, chunks);
                var first = (part * length) + (number * chunk);
                var size = (int)Math.Min(chunk, length - (number * chunk));
                var span = new ReadOnlySpan<float>((float*)start + first, size);
                var sums = new double[operations[part].Length];
                for (var operation = 0; operation < sums.Length; operation++)
                {
                    sums[operation] = Sum(span, operations[part][operation]);
                }

                partial[index] = sums;
            });
        }

        GC.KeepAlive(values);
        // In a fixed order, so that the sum does not depend on which core was first.
        return [.. operations.Select((set, part) => Enumerable.Range(0, set.Length).Select(operation =>
            Enumerable.Range(0, (int)chunks).Sum(number => partial[(part * chunks) + number][operation])).ToArray())];
    }

    private static double Sum<TOperation>(ReadOnlySpan<float> values, TOperation operation)
        where TOperation : struct, IVectorOperation
    {
        var (low, high) = (Vector512<double>.Zero, Vector512<double>.Zero);
        var position = 0;
        void Add(Vector512<float> original)
        {
            var (left, right) = Vector512.Widen(operation.Apply(original) - original);
            low += left * left;
            high += right * right;
        }

        for (; position <= values.Length - Vector512<float>.Count; position += Vector512<float>.Count)
        {
            Add(Vector512.Create(values[position..]));
        }

        var total = Vector512.Sum(low + high);
        if (position < values.Length)
        {
            Span<float> rest = stackalloc float[Vector512<float>.Count];
            values[position..].CopyTo(rest);
            var original = Vector512.Create((ReadOnlySpan<float>)rest);
            (operation.Apply(original) - original).CopyTo(rest);
            foreach (var error in rest[..(values.Length - position)])
            {
                total += (double)error * error;
            }
        }

        return total;
    }
}
