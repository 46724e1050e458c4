using System.Diagnostics;
using System.Numerics;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace RegCache.Lab.Data.Images.Resampling;

/// <summary>
/// Resamples columns of bytes: every byte of an output row is a weighted mean of the bytes above each other in the source
/// rows of its window. Source rows are taken in pairs, weights split as in <see cref="HorizontalPass"/>.
/// </summary>
internal sealed unsafe class VerticalPass
{
    private const int GroupSize = 2;
    private const int LowBits = 12;
    private const int Half = 1 << (AxisWeights.PrecisionBits - 1);

    private readonly FixedPointWeights _weights;
    private readonly int[] _lowPairs;
    private readonly int[] _highPairs;
    private readonly int _inputLength;

    public VerticalPass(AxisWeights axis)
    {
        _weights = new FixedPointWeights(axis, GroupSize, 1);
        _inputLength = axis.InputLength;
        _lowPairs = new int[_weights.Values.Length / GroupSize];
        _highPairs = new int[_lowPairs.Length];
        for (var i = 0; i < _lowPairs.Length; i++)
        {
            int first = _weights.Values[2 * i], second = _weights.Values[(2 * i) + 1];
            const int LowMask = (1 << LowBits) - 1;
            _lowPairs[i] = (first & LowMask) | ((second & LowMask) << 16);
            _highPairs[i] = ((first >> LowBits) & 0xFFFF) | ((second >> LowBits) << 16);
        }

        FirstNeeded = _weights.Start.Min();
        for (var i = 0; i < axis.Outputs; i++)
        {
            var end = _weights.Start[i] + (_weights.Groups[i] * GroupSize);
            EndNeeded = Math.Max(EndNeeded, Math.Min(end, _inputLength));
        }
    }

    /// <summary>The first source row that is read.</summary>
    public int FirstNeeded { get; }

    /// <summary>One behind the last source row that is read.</summary>
    public int EndNeeded { get; }

    /// <summary>Resamples all output rows.</summary>
    /// <param name="instructions">What to compute with.</param>
    /// <param name="source">Where source row 0 would lie; rows that are not needed may be absent.</param>
    /// <param name="sourceStride">Bytes from one source row to the next.</param>
    /// <param name="target">The first output row; only <paramref name="rowBytes"/> bytes of each are written.</param>
    /// <param name="targetStride">Bytes from one output row to the next.</param>
    /// <param name="rowBytes">Bytes of an output row.</param>
    public void Run(
        InstructionSet instructions, byte* source, nint sourceStride, byte* target, nint targetStride, int rowBytes)
    {
        fixed (int* lowPairs = _lowPairs)
        fixed (int* highPairs = _highPairs)
        {
            int* low = lowPairs, high = highPairs;
            for (var output = 0; output < _weights.Start.Length; output++, target += targetStride)
            {
                var pairs = _weights.Groups[output];
                var start = _weights.Start[output];
                var first = source + (start * sourceStride);
                // An odd source that is shorter than its last pair has no second row for it; the weight is zero then.
                var lastPartner = start + (pairs * GroupSize) <= _inputLength ? sourceStride : 0;
                var done = instructions switch
                {
                    InstructionSet.Avx512 => RowAvx512(first, sourceStride, lastPartner, low, high, pairs, target, rowBytes),
                    InstructionSet.Avx2 => RowAvx2(first, sourceStride, lastPartner, low, high, pairs, target, 0, rowBytes),
                    InstructionSet.Portable => RowPortable(source, sourceStride, output, target, rowBytes),
                    _ => throw new UnreachableException(),
                };
                RowTail(source, sourceStride, output, target, done, rowBytes);
                low += pairs;
                high += pairs;
            }
        }
    }

    private static int RowAvx512(
        byte* first, nint stride, nint lastPartner, int* low, int* high, int pairs, byte* target, int rowBytes)
    {
        var x = 0;
        for (; x <= rowBytes - Vector256<byte>.Count; x += Vector256<byte>.Count)
        {
            Vector512<int> lowA = default, highA = default, lowB = default, highB = default;
            var row = first + x;
            for (var pair = 0; pair < pairs; pair++, row += 2 * stride)
            {
                var upper = Vector256.Load(row);
                var lower = Vector256.Load(row + (pair == pairs - 1 ? lastPartner : stride));
                var a = Avx512BW.ConvertToVector512Int16(Avx2.UnpackLow(upper, lower));
                var b = Avx512BW.ConvertToVector512Int16(Avx2.UnpackHigh(upper, lower));
                var lowWeights = Vector512.Create(low[pair]).AsInt16();
                var highWeights = Vector512.Create(high[pair]).AsInt16();
                lowA += Avx512BW.MultiplyAddAdjacent(a, lowWeights);
                highA += Avx512BW.MultiplyAddAdjacent(a, highWeights);
                lowB += Avx512BW.MultiplyAddAdjacent(b, lowWeights);
                highB += Avx512BW.MultiplyAddAdjacent(b, highWeights);
            }

            var sumA = Narrow(lowA, highA).AsUInt64();
            var sumB = Narrow(lowB, highB).AsUInt64();
            // Unpacking worked on 128-bit lanes: A holds bytes 0-7 and 16-23, B holds 8-15 and 24-31.
            Sse2.UnpackLow(sumA, sumB).AsByte().Store(target + x);
            Sse2.UnpackHigh(sumA, sumB).AsByte().Store(target + x + 16);
        }

        return RowAvx2(first, stride, lastPartner, low, high, pairs, target, x, rowBytes);

        static Vector128<byte> Narrow(Vector512<int> low, Vector512<int> high)
        {
            var sum = ((high << LowBits) + low + Vector512.Create(Half)) >> AxisWeights.PrecisionBits;
            return Avx512F.ConvertToVector128ByteWithSaturation(Vector512.Max(sum, default).AsUInt32());
        }
    }

    private static int RowAvx2(
        byte* first, nint stride, nint lastPartner, int* low, int* high, int pairs, byte* target, int x, int rowBytes)
    {
        for (; x <= rowBytes - Vector128<byte>.Count; x += Vector128<byte>.Count)
        {
            Vector256<int> lowA = default, highA = default, lowB = default, highB = default;
            var row = first + x;
            for (var pair = 0; pair < pairs; pair++, row += 2 * stride)
            {
                var upper = Vector128.Load(row);
                var lower = Vector128.Load(row + (pair == pairs - 1 ? lastPartner : stride));
                var a = Avx2.ConvertToVector256Int16(Sse2.UnpackLow(upper, lower));
                var b = Avx2.ConvertToVector256Int16(Sse2.UnpackHigh(upper, lower));
                var lowWeights = Vector256.Create(low[pair]).AsInt16();
                var highWeights = Vector256.Create(high[pair]).AsInt16();
                lowA += Avx2.MultiplyAddAdjacent(a, lowWeights);
                highA += Avx2.MultiplyAddAdjacent(a, highWeights);
                lowB += Avx2.MultiplyAddAdjacent(b, lowWeights);
                highB += Avx2.MultiplyAddAdjacent(b, highWeights);
            }

            var half = Vector256.Create(Half);
            var sumA = ((highA << LowBits) + lowA + half) >> AxisWeights.PrecisionBits;
            var sumB = ((highB << LowBits) + lowB + half) >> AxisWeights.PrecisionBits;
            var words = Avx2.Permute4x64(Avx2.PackSignedSaturate(sumA, sumB).AsInt64(), 0b11_01_10_00).AsInt16();
            Sse2.PackUnsignedSaturate(words.GetLower(), words.GetUpper()).Store(target + x);
        }

        return x;
    }

    private int RowPortable(byte* source, nint stride, int output, byte* target, int rowBytes)
    {
        var window = _weights.Window(output);
        var x = 0;
        for (; x <= rowBytes - Vector<byte>.Count; x += Vector<byte>.Count)
        {
            Vector<int> sum0 = new(Half), sum1 = sum0, sum2 = sum0, sum3 = sum0;
            for (var tap = 0; tap < window.Length; tap++)
            {
                var row = source + x + (SourceRow(output, tap) * stride);
                Vector.Widen(*(Vector<byte>*)row, out var lowHalf, out var highHalf);
                Vector.Widen(lowHalf, out var part0, out var part1);
                Vector.Widen(highHalf, out var part2, out var part3);
                sum0 += Vector.AsVectorInt32(part0) * window[tap];
                sum1 += Vector.AsVectorInt32(part1) * window[tap];
                sum2 += Vector.AsVectorInt32(part2) * window[tap];
                sum3 += Vector.AsVectorInt32(part3) * window[tap];
            }

            *(Vector<byte>*)(target + x) = Vector.Narrow(
                Vector.Narrow(Finish(sum0), Finish(sum1)), Vector.Narrow(Finish(sum2), Finish(sum3)));
        }

        return x;

        static Vector<uint> Finish(Vector<int> sum) => Vector.AsVectorUInt32(
            Vector.Min(Vector.Max(sum >> AxisWeights.PrecisionBits, Vector<int>.Zero), new Vector<int>(255)));
    }

    private void RowTail(byte* source, nint stride, int output, byte* target, int x, int rowBytes)
    {
        var window = _weights.Window(output);
        for (; x < rowBytes; x++)
        {
            var sum = Half;
            for (var tap = 0; tap < window.Length; tap++)
            {
                sum += source[x + (SourceRow(output, tap) * stride)] * window[tap];
            }

            target[x] = (byte)Math.Clamp(sum >> AxisWeights.PrecisionBits, 0, 255);
        }
    }

    private int SourceRow(int output, int tap) => Math.Min(_weights.Start[output] + tap, _inputLength - 1);
}
