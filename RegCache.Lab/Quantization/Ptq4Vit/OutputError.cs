using System.Runtime.Intrinsics;
using RegCache.Lab.Quantization.Kernels;

namespace RegCache.Lab.Quantization.Ptq4Vit;

/// <summary>How far a candidate's output O' is from the float output O (PTQ4ViT, section 3.3).</summary>
public enum OutputMetric
{
    /// <summary>Squared difference weighted by the squared gradient of the loss, <c>mean((G (O - O'))^2)</c>.</summary>
    Hessian,

    /// <summary>One minus the cosine of O and O' over the features of a row.</summary>
    Cosine,
}

/// <summary>Errors of many candidate outputs against one float output, summed over all rows.</summary>
internal static class OutputError
{
    private const int ElementsPerTask = 1 << 15;
    private const double Epsilon = 1e-8;

    /// <summary>Sums the error of every candidate.</summary>
    /// <param name="candidates">Outputs without bias, [I,K,M,C] or [I,M,K,C].</param>
    /// <param name="axis">The axis of the candidates, 1 or 2.</param>
    /// <param name="output">The float output [I,M,C].</param>
    /// <param name="gradient">The gradient at the output [I,M,C]; null measures the cosine.</param>
    /// <param name="bias">Bias [C] that the outputs lack; null for none.</param>
    public static double[] Sum(Tensor candidates, int axis, Tensor output, Tensor? gradient, Tensor? bias) =>
        VectorKernel.CanRead(candidates) && VectorKernel.CanRead(output) && (gradient is null || VectorKernel.CanRead(gradient))
            ? SumInOnePass(candidates, axis, output, gradient, bias)
            : SumByOperators(candidates, axis, output, gradient, bias);

    private static double[] SumByOperators(Tensor candidates, int axis, Tensor output, Tensor? gradient, Tensor? bias)
    {
        using var scope = torch.NewDisposeScope();
        var outputs = bias is null ? candidates : candidates + bias;
        var wanted = output.unsqueeze(axis);
        var errors = gradient is null
            ? (1 - torch.nn.functional.cosine_similarity(wanted, outputs, -1, Epsilon)).clamp(min: 0)
            : (outputs - wanted).mul_(gradient.unsqueeze(axis)).square().sum(-1);
        return errors.sum([0, 3 - axis], type: torch.ScalarType.Float64).cpu().data<double>().ToArray();
    }

    private static unsafe double[] SumInOnePass(Tensor candidates, int axis, Tensor output, Tensor? gradient, Tensor? bias)
    {
        var (images, rows, columns) = (output.shape[0], output.shape[1], (int)output.shape[2]);
        var count = (int)candidates.shape[axis];
        var rowsPerTask = Math.Max(1, ElementsPerTask / Math.Max(1, columns * count));
        var tasks = (int)(((images * rows) + rowsPerTask - 1) / rowsPerTask);
        var partial = new double[tasks][];
        var offsets = bias is null ? null : VectorKernel.Values(bias.contiguous());
        fixed (byte* allOutputs = candidates.bytes, wantedOutput = output.bytes, gradients = gradient is null ? default : gradient.bytes)
        {
            var (from, wanted, weights) = ((nint)allOutputs, (nint)wantedOutput, (nint)gradients);

            void Task(int task)
            {
                var sums = partial[task] = new double[count];
                var end = Math.Min(images * rows, (long)(task + 1) * rowsPerTask);
                for (var row = (long)task * rowsPerTask; row < end; row++)
                {
                    var (image, position) = Math.DivRem(row, rows);
                    var target = new ReadOnlySpan<float>((float*)wanted + (row * columns), columns);
                    var weight = weights == 0 ? default : new ReadOnlySpan<float>((float*)weights + (row * columns), columns);
                    for (var candidate = 0; candidate < count; candidate++)
                    {
                        var index = axis == 1 ? (((image * count) + candidate) * rows) + position : (row * count) + candidate;
                        var found = new ReadOnlySpan<float>((float*)from + (index * columns), columns);
                        sums[candidate] += weights == 0 ? CosineError(found, target, offsets) : WeightedError(found, target, weight, offsets);
                    }
                }
            }

            Parallel.For(0, tasks, TensorLibrary.OwnThreads, Task);
        }

        GC.KeepAlive(candidates);
        GC.KeepAlive(output);
        GC.KeepAlive(gradient);

        // In a fixed order, so that the sum does not depend on which core was first.
        var total = new double[count];
        foreach (var sums in partial)
        {
            for (var candidate = 0; candidate < count; candidate++)
            {
                total[candidate] += sums[candidate];
            }
        }

        return total;
    }

    private static double WeightedError(ReadOnlySpan<float> found, ReadOnlySpan<float> target, ReadOnlySpan<float> weight, float[]? bias)
    {
        var sums = Vector512<float>.Zero;
        var position = 0;
        for (; position <= found.Length - Vector512<float>.Count; position += Vector512<float>.Count)
        {
            var value = Vector512.Create(found[position..]);
            value = bias is null ? value : value + Vector512.Create(bias.AsSpan(position));
            var error = Vector512.Create(weight[position..]) * (Vector512.Create(target[position..]) - value);
            sums += error * error;
        }

        double total = Vector512.Sum(sums);
        for (; position < found.Length; position++)
        {
            var error = weight[position] * (target[position] - (found[position] + (bias?[position] ?? 0)));
            total += error * error;
        }

        return total;
    }

    private static double CosineError(ReadOnlySpan<float> found, ReadOnlySpan<float> target, float[]? bias)
    {
        var (products, ownSquares, targetSquares) = (Vector512<float>.Zero, Vector512<float>.Zero, Vector512<float>.Zero);
        var position = 0;
        for (; position <= found.Length - Vector512<float>.Count; position += Vector512<float>.Count)
        {
            var value = Vector512.Create(found[position..]);
            value = bias is null ? value : value + Vector512.Create(bias.AsSpan(position));
            var wanted = Vector512.Create(target[position..]);
            products += value * wanted;
            ownSquares += value * value;
            targetSquares += wanted * wanted;
        }

        double product = Vector512.Sum(products), own = Vector512.Sum(ownSquares), other = Vector512.Sum(targetSquares);
        for (; position < found.Length; position++)
        {
            var value = found[position] + (bias?[position] ?? 0);
            product += value * target[position];
            own += value * value;
            other += target[position] * target[position];
        }

        var cosine = product / (Math.Max(Math.Sqrt(own), Epsilon) * Math.Max(Math.Sqrt(other), Epsilon));
        return double.IsNaN(cosine) ? double.NaN : Math.Max(0, 1 - cosine);
    }
}
