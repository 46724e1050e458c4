using System.Numerics;
using System.Runtime.InteropServices;

namespace RegCache.Lab.Training;

/// <summary>
/// AdamW on CPU memory: one pass that reads and writes every value once. Work is cut into chunks of a fixed size, so the
/// numbers do not depend on the number of threads.
/// </summary>
internal static class AdamWKernel
{
    private const int ChunkSize = 1 << 15;

    /// <summary>Whether a tensor's memory can be read and written as a span of floats.</summary>
    public static bool IsDirect(Tensor tensor) =>
        tensor.device_type == DeviceType.CPU
        && tensor.dtype == torch.ScalarType.Float32
        && tensor.is_contiguous()
        && tensor.NumberOfElements <= int.MaxValue / sizeof(float);

    /// <summary>The sum of the squares of all elements.</summary>
    public static double SquaredNorm(IReadOnlyList<Tensor> tensors)
    {
        var chunks = Chunks([.. tensors.Select(tensor => tensor.NumberOfElements)]);
        var sums = new double[chunks.Count];
        Parallel.For(0, chunks.Count, TensorLibrary.OwnThreads, index =>
        {
            var chunk = chunks[index];
            sums[index] = SquaredNorm(Values(tensors[chunk.Tensor]).Slice(chunk.First, chunk.Length));
        });
        return sums.Sum();
    }

    /// <summary>Does one step for all parameters.</summary>
    /// <param name="updates">The parameters.</param>
    /// <param name="rule">The numbers of the step.</param>
    /// <param name="gradientScale">Multiplied into every gradient.</param>
    public static void Apply(IReadOnlyList<ParameterUpdate> updates, AdamWRule rule, float gradientScale)
    {
        var chunks = Chunks([.. updates.Select(update => update.Value.NumberOfElements)]);
        Parallel.For(0, chunks.Count, TensorLibrary.OwnThreads, index =>
        {
            var chunk = chunks[index];
            var update = updates[chunk.Tensor];
            Apply(
                Values(update.Value).Slice(chunk.First, chunk.Length),
                Values(update.Gradient).Slice(chunk.First, chunk.Length),
                Values(update.Moments[0]).Slice(chunk.First, chunk.Length),
                Values(update.Moments[1]).Slice(chunk.First, chunk.Length),
                rule,
                (float)(1 - (rule.LearningRate * update.WeightDecay)),
                gradientScale);
        });
    }

    private static void Apply(
        Span<float> values, Span<float> gradients, Span<float> first, Span<float> second, AdamWRule rule, float keep, float scale)
    {
        var (beta1, beta2) = ((float)rule.Beta1, (float)rule.Beta2);
        var (gain1, gain2) = ((float)(1 - rule.Beta1), (float)(1 - rule.Beta2));
        var (stepSize, inverseRoot, epsilon) = ((float)rule.StepSize, (float)(1 / rule.RootCorrection), (float)rule.Epsilon);
        var width = Vector<float>.Count;
        var index = 0;
        for (; index <= values.Length - width; index += width)
        {
            var gradient = new Vector<float>(gradients[index..]) * scale;
            var mean = (new Vector<float>(first[index..]) * beta1) + (gradient * gain1);
            var square = (new Vector<float>(second[index..]) * beta2) + (gradient * gradient * gain2);
            mean.CopyTo(first[index..]);
            square.CopyTo(second[index..]);
            var denominator = (Vector.SquareRoot(square) * inverseRoot) + new Vector<float>(epsilon);
            var value = (new Vector<float>(values[index..]) * keep) - (mean * stepSize / denominator);
            value.CopyTo(values[index..]);
        }

        for (; index < values.Length; index++)
        {
            var gradient = gradients[index] * scale;
            first[index] = (first[index] * beta1) + (gradient * gain1);
            second[index] = (second[index] * beta2) + (gradient * gradient * gain2);
            var denominator = (MathF.Sqrt(second[index]) * inverseRoot) + epsilon;
            values[index] = (values[index] * keep) - (first[index] * stepSize / denominator);
        }
    }

    private static double SquaredNorm(Span<float> values)
    {
        var (low, high) = (Vector<double>.Zero, Vector<double>.Zero);
        var width = Vector<float>.Count;
        var index = 0;
        for (; index <= values.Length - width; index += width)
        {
            Vector.Widen(new Vector<float>(values[index..]), out var left, out var right);
            low += left * left;
            high += right * right;
        }

        var sum = Vector.Sum(low + high);
        for (; index < values.Length; index++)
        {
            sum += (double)values[index] * values[index];
        }

        return sum;
    }

    private static Span<float> Values(Tensor tensor) => MemoryMarshal.Cast<byte, float>(tensor.bytes);

    private static List<(int Tensor, int First, int Length)> Chunks(long[] lengths)
    {
        var chunks = new List<(int, int, int)>();
        for (var tensor = 0; tensor < lengths.Length; tensor++)
        {
            for (var first = 0; first < lengths[tensor]; first += ChunkSize)
            {
                chunks.Add((tensor, first, (int)Math.Min(ChunkSize, lengths[tensor] - first)));
            }
        }

        return chunks;
    }
}
