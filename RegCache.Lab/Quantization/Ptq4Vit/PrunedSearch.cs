using RegCache.Lab.Quantization.Kernels;

namespace RegCache.Lab.Quantization.Ptq4Vit;

/// <summary>
/// Finds the candidate with the smallest error over a set of images without finishing the others: errors only grow from
/// image to image, so a candidate whose error on a part of the images exceeds the best complete one cannot win. The
/// winner, and ties, are those of the full search.
/// </summary>
internal static class PrunedSearch
{
    /// <summary>Runs the search.</summary>
    /// <param name="candidates">Number of candidates.</param>
    /// <param name="images">Number of images.</param>
    /// <param name="firstPart">Images that all candidates are tried on; later parts double.</param>
    /// <param name="largestPart">Most images in a part.</param>
    /// <param name="errors">Errors of some candidates on a range of images: (first image, images, candidates).</param>
    /// <returns>The index of the best candidate, the first of equals; -1 when no error is finite.</returns>
    public static int Best(
        int candidates, long images, long firstPart, long largestPart, Func<long, long, int[], double[]> errors)
    {
        var parts = Parts(images, firstPart, largestPart);
        var totals = new double[candidates];
        void Add(int part, int[] chosen)
        {
            var found = errors(parts[part].First, parts[part].Count, chosen);
            for (var index = 0; index < chosen.Length; index++)
            {
                totals[chosen[index]] += found[index];
            }
        }

        Add(0, [.. Enumerable.Range(0, candidates)]);
        var leader = FirstSmallest(totals, Enumerable.Range(0, candidates));
        if (leader < 0)
        {
            return -1;
        }

        for (var part = 1; part < parts.Count; part++)
        {
            Add(part, [leader]);
        }

        var alive = Enumerable.Range(0, candidates).Where(candidate => candidate != leader).ToArray();
        for (var part = 1; part < parts.Count; part++)
        {
            alive = [.. alive.Where(candidate => totals[candidate] <= totals[leader])];
            if (alive.Length > 0)
            {
                Add(part, alive);
            }
        }

        return FirstSmallest(totals, alive.Append(leader).Order());
    }

    private static List<(long First, long Count)> Parts(long images, long firstPart, long largestPart)
    {
        var parts = new List<(long First, long Count)>();
        var size = Math.Clamp(firstPart, 1, largestPart);
        for (long first = 0; first < images; first += parts[^1].Count)
        {
            parts.Add((first, Math.Min(size, images - first)));
            size = parts.Count == 1 ? size : Math.Min(2 * size, largestPart);
        }

        return parts;
    }

    private static int FirstSmallest(double[] totals, IEnumerable<int> candidates)
    {
        var best = -1;
        foreach (var candidate in candidates)
        {
            if (double.IsFinite(totals[candidate]) && (best < 0 || totals[candidate] < totals[best]))
            {
                best = candidate;
            }
        }

        return best;
    }
}

/// <summary>The quantizers among which a search chooses.</summary>
internal interface ICandidates
{
    int Count { get; }

    ITensorQuantizer this[int index] { get; }

    /// <summary>Fake-quantizes the same values by some of the candidates, [I,..] to [I,K,..].</summary>
    Tensor Expand(Tensor values, int[] chosen);
}

/// <summary>Candidates with a kernel that quantizes by many of them in one go.</summary>
internal sealed class Candidates<TOperation>(
    int count, Func<int, ITensorQuantizer> quantizer, Func<int, TOperation> operation) : ICandidates
    where TOperation : struct, IVectorOperation
{
    public int Count => count;

    public ITensorQuantizer this[int index] => quantizer(index);

    public Tensor Expand(Tensor values, int[] chosen)
    {
        if (VectorKernel.CanRead(values))
        {
            var shape = values.shape;
            var result = torch.empty([shape[0], chosen.Length, .. shape[1..]]);
            VectorKernel.Expand(values, result, shape[0], Array.ConvertAll(chosen, candidate => operation(candidate)));
            return result;
        }

        using var scope = torch.NewDisposeScope();
        return torch.stack(chosen.Select(candidate => quantizer(candidate).FakeQuantize(values)), 1).MoveToOuterDisposeScope();
    }
}

/// <summary>
/// The candidate scales of PTQ4ViT, <c>D_i = D0 (a + i (c - a) / n)</c> for i = 0..n-1 (quantizers.md, section 2.1).
/// </summary>
/// <param name="Lowest">Smallest factor a.</param>
/// <param name="Highest">Factor c that the list stops short of.</param>
/// <param name="Count">Number of candidates n.</param>
public sealed record SearchRange(double Lowest, double Highest, int Count)
{
    private const int Splits = 20;
    private const float SmallestNormal = 1.17549435e-38f;

    /// <summary>The initial scale <c>D0 = max / (2^(b-1) - 0.5)</c>, kept above the smallest normal number.</summary>
    /// <param name="largest">The largest value or magnitude.</param>
    /// <param name="bits">Bit-width b.</param>
    public static float Initial(float largest, int bits) =>
        Math.Max(largest / ((1 << (bits - 1)) - 0.5f), SmallestNormal);

    /// <summary>Candidate scale i.</summary>
    public float Scale(float initial, int index) => (float)(Lowest + (index * (Highest - Lowest) / Count)) * initial;

    internal ICandidates Uniform(float initial, int bits, torch.Device device)
    {
        var half = 1 << (bits - 1);
        return new Candidates<UniformOperation>(
            Count,
            index => Grid([Scale(initial, index)], bits, device),
            index => new(Scale(initial, index), null, -half, half - 1));
    }

    internal ICandidates PostGelu(float initial, int bits) => new Candidates<PostGeluQuantizer.Operation>(
        Count,
        index => new PostGeluQuantizer(Scale(initial, index), bits),
        index => new(new(Scale(initial, index), bits)));

    /// <summary>The splits 1, 1/2, 1/4, .. of the softmax quantizer.</summary>
    internal static ICandidates SoftmaxSplits(int bits, SoftmaxTwin form)
    {
        SoftmaxTwinQuantizer Quantizer(int index) => new(MathF.ScaleB(1, -index), bits, form);
        return new Candidates<SoftmaxTwinQuantizer.Operation>(Splits, Quantizer, index => new(Quantizer(index)));
    }

    /// <summary>The symmetric signed grid with codes -2^(b-1) .. 2^(b-1) - 1.</summary>
    /// <param name="scales">One scale, or one for each head.</param>
    /// <param name="bits">Bit-width b.</param>
    /// <param name="device">Where the grid is used.</param>
    /// <param name="shape">Shape of the scale tensor; by default as many axes of length one as the scales need.</param>
    internal static UniformQuantizer Grid(float[] scales, int bits, torch.Device device, params long[] shape)
    {
        var half = 1 << (bits - 1);
        var tensor = torch.tensor(scales, device: device).reshape(shape.Length == 0 ? [1] : shape);
        return new(tensor, null, -half, half - 1);
    }
}
