using System.Runtime.InteropServices;
using RegCache.Lab.Quantization.Kernels;

namespace RegCache.Lab.Quantization.RepqVit;

/// <summary>
/// Quantiles with linear interpolation, as <c>torch.quantile</c> computes them: the rank in float32 up to 2^24 values,
/// in float64 above, where torch refuses and the released code falls back to NumPy.
/// Only the neighbourhoods of the wanted ranks are sorted.
/// </summary>
internal static class Quantiles
{
    /// <summary>Most values for which ranks are computed in float32.</summary>
    internal const int SingleRankLimit = 1 << 24;

    private const int BinBits = 16;
    private const int SmallRow = 1 << 16;

    /// <summary>Quantiles of every row.</summary>
    /// <param name="rows">Finite values [R,n].</param>
    /// <param name="fractions">The quantiles, 0 to 1.</param>
    /// <returns>One array a row, in the order of the fractions.</returns>
    public static float[][] OfRows(Tensor rows, double[] fractions)
    {
        if (rows.device_type != DeviceType.CPU && rows.shape[1] <= SingleRankLimit)
        {
            using var scope = torch.NewDisposeScope();
            var wanted = torch.tensor(fractions, torch.ScalarType.Float32, rows.device);
            var found = rows.quantile(wanted, 1).t().contiguous().cpu();
            return [.. VectorKernel.Values(found).Chunk(fractions.Length)];
        }

        using var lifetime = torch.NewDisposeScope();
        return OnCpu(rows.cpu().contiguous(), fractions);
    }

    private static unsafe float[][] OnCpu(Tensor rows, double[] fractions)
    {
        var (count, length) = (rows.shape[0], rows.shape[1]);
        var ranks = Array.ConvertAll(fractions, fraction => Rank.Of(fraction, length));
        var results = new float[count][];
        // Spans end at 2^31 elements, tensors do not: the row is reached through its address.
        fixed (byte* memory = rows.bytes)
        {
            var start = (nint)memory;
            void Row(long row)
            {
                var values = new ReadOnlySpan<float>((float*)start + (row * length), (int)length);
                results[row] = length <= SmallRow
                    ? BySorting(values, ranks)
                    : ByCounting(start + (nint)(row * length * sizeof(float)), (int)length, ranks);
            }

            if (count == 1)
            {
                Row(0);
            }
            else
            {
                Parallel.For(0, count, TensorLibrary.OwnThreads, Row);
            }
        }

        GC.KeepAlive(rows);
        return results;
    }

    private static float[] BySorting(ReadOnlySpan<float> values, Rank[] ranks)
    {
        var sorted = values.ToArray();
        Array.Sort(sorted);
        return Array.ConvertAll(ranks, rank => rank.Between(sorted[rank.Below], sorted[rank.Above]));
    }

    // Counts the values by their leading bits, then sorts only the values of the bins that hold a wanted rank.
    private static unsafe float[] ByCounting(nint memory, int length, Rank[] ranks)
    {
        var bins = Count(memory, length);
        var firstRanks = new long[bins.Length + 1];
        for (var bin = 0; bin < bins.Length; bin++)
        {
            firstRanks[bin + 1] = firstRanks[bin] + bins[bin];
        }

        int BinOf(long rank) => Array.FindIndex(firstRanks, first => first > rank) - 1;
        var wanted = ranks.SelectMany(rank => new[] { BinOf(rank.Below), BinOf(rank.Above) }).Distinct()
            .ToDictionary(bin => bin, _ => new List<float>());
        var isWanted = new bool[bins.Length];
        foreach (var bin in wanted.Keys)
        {
            isWanted[bin] = true;
        }

        foreach (var value in new ReadOnlySpan<float>((void*)memory, length))
        {
            var bin = Bin(value);
            if (isWanted[bin])
            {
                wanted[bin].Add(value);
            }
        }

        foreach (var members in wanted.Values)
        {
            members.Sort();
        }

        float At(long rank)
        {
            var bin = BinOf(rank);
            return wanted[bin][(int)(rank - firstRanks[bin])];
        }

        return Array.ConvertAll(ranks, rank => rank.Between(At(rank.Below), At(rank.Above)));
    }

    private static unsafe long[] Count(nint memory, int length)
    {
        var total = new long[1 << BinBits];
        var options = TensorLibrary.OwnThreads;
        var parts = options.MaxDegreeOfParallelism;
        var chunk = (length + parts - 1) / parts;
        Parallel.For(0, parts, options, part =>
        {
            var first = Math.Min(length, (long)part * chunk);
            var counts = new int[1 << BinBits];
            foreach (var value in new ReadOnlySpan<float>((float*)memory + first, (int)Math.Min(chunk, length - first)))
            {
                counts[Bin(value)]++;
            }

            lock (total)
            {
                for (var bin = 0; bin < counts.Length; bin++)
                {
                    total[bin] += counts[bin];
                }
            }
        });
        return total;
    }

    // The leading bits of a key that orders as the numbers do.
    private static int Bin(float value)
    {
        var bits = BitConverter.SingleToUInt32Bits(value);
        var key = (bits & 0x80000000u) != 0 ? ~bits : bits | 0x80000000u;
        return (int)(key >> (32 - BinBits));
    }

    private readonly record struct Rank(long Below, long Above, double Weight, bool IsSingle)
    {
        public static Rank Of(double fraction, long length)
        {
            if (length > SingleRankLimit)
            {
                var rank = fraction * (length - 1);
                return new((long)rank, (long)Math.Ceiling(rank), rank - Math.Floor(rank), false);
            }

            var single = (float)fraction * (length - 1);
            return new((long)single, (long)MathF.Ceiling(single), single - (long)single, true);
        }

        public float Between(float below, float above)
        {
            if (IsSingle)
            {
                var weight = (float)Weight;
                return weight < 0.5f ? below + (weight * (above - below)) : above - ((above - below) * (1 - weight));
            }

            var difference = (double)above - below;
            return (float)(Weight < 0.5 ? below + (Weight * difference) : above - (difference * (1 - Weight)));
        }
    }
}
