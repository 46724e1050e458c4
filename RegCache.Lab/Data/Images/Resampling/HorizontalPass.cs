using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace RegCache.Lab.Data.Images.Resampling;

/// <summary>
/// Resamples rows of pixels of three or four byte channels. Four output pixels are made together, each in its own
/// 128-bit lane: four source pixels a load are shuffled to pairs of 16-bit taps and multiplied by pairs of weights. A
/// weight has more than 16 bits, so it is split in w = 4096 high + low, which keeps the sums exact.
/// </summary>
internal sealed unsafe class HorizontalPass
{
    /// <summary>Output pixels made together.</summary>
    public const int BlockSize = 4;

    private const int GroupSize = 4;
    private const int LowBits = 12;
    private const int ShortsPerPart = 32;
    private const int ShortsPerGroup = 4 * ShortsPerPart;

    private readonly FixedPointWeights _weights;
    private readonly int[] _start;
    private readonly short[] _parts;

    public HorizontalPass(AxisWeights axis)
    {
        _weights = new FixedPointWeights(axis, GroupSize, BlockSize);
        Outputs = axis.Outputs;
        Blocks = (Outputs + BlockSize - 1) / BlockSize;
        _start = new int[Blocks * BlockSize];
        var groups = 0;
        for (var block = 0; block < Blocks; block++)
        {
            groups += _weights.Groups[block * BlockSize];
        }

        _parts = new short[checked(groups * ShortsPerGroup)];
        FillParts();
    }

    /// <summary>Output pixels of a row.</summary>
    public int Outputs { get; }

    /// <summary>Blocks of output pixels of a row.</summary>
    public int Blocks { get; }

    /// <summary>Bytes that a row of output may touch: whole blocks and the tail of the last store.</summary>
    public int TargetBytes(int channels) => (Blocks * BlockSize * channels) + 16;

    /// <summary>
    /// Resamples one row. Reads up to 32 bytes beyond the row's end and writes <see cref="TargetBytes"/> bytes.
    /// </summary>
    public void Run(InstructionSet instructions, byte* source, byte* target, int channels)
    {
        switch (instructions)
        {
            case InstructionSet.Avx512:
                RunAvx512(source, target, channels);
                break;
            case InstructionSet.Avx2:
                RunAvx2(source, target, channels);
                break;
            case InstructionSet.Portable:
                RunPortable(source, target, channels);
                break;
            default:
                throw new UnreachableException();
        }
    }

    private void FillParts()
    {
        var parts = _parts.AsSpan();
        for (var block = 0; block < Blocks; block++)
        {
            var groups = _weights.Groups[block * BlockSize];
            for (var lane = 0; lane < BlockSize; lane++)
            {
                var output = Math.Min((block * BlockSize) + lane, Outputs - 1);
                _start[(block * BlockSize) + lane] = _weights.Start[output];
                var window = _weights.Window(output);
                for (var tap = 0; tap < window.Length; tap += 2)
                {
                    var part = parts[((tap / 4 * ShortsPerGroup) + (tap / 2 % 2 * 2 * ShortsPerPart) + (lane * 8))..];
                    for (var i = 0; i < 8; i++)
                    {
                        var weight = window[tap + (i % 2)];
                        part[i] = (short)(weight & ((1 << LowBits) - 1));
                        part[ShortsPerPart + i] = (short)(weight >> LowBits);
                    }
                }
            }

            parts = parts[(groups * ShortsPerGroup)..];
        }
    }

    private void RunPortable(byte* source, byte* target, int channels)
    {
        for (var output = 0; output < Outputs; output++)
        {
            var pixels = source + (_weights.Start[output] * channels);
            var window = _weights.Window(output);
            // Padded taps may lie beyond the row, where their weight is zero.
            for (var channel = 0; channel < channels; channel++)
            {
                var sum = 1 << (AxisWeights.PrecisionBits - 1);
                for (var tap = 0; tap < window.Length; tap++)
                {
                    sum += pixels[(tap * channels) + channel] * window[tap];
                }

                target[(output * channels) + channel] = (byte)Math.Clamp(sum >> AxisWeights.PrecisionBits, 0, 255);
            }
        }
    }

    private void RunAvx2(byte* source, byte* target, int channels)
    {
        var firstPair = Vector256.Create(PairShuffle(channels, 0), PairShuffle(channels, 0));
        var secondPair = Vector256.Create(PairShuffle(channels, 2), PairShuffle(channels, 2));
        var compact = CompactShuffle(channels);
        var half = Vector256.Create(1 << (AxisWeights.PrecisionBits - 1));
        fixed (int* starts = _start)
        fixed (short* allParts = _parts)
        {
            var parts = allParts;
            for (var block = 0; block < Blocks; block++)
            {
                var s = starts + (block * BlockSize);
                byte* p0 = source + (s[0] * channels), p1 = source + (s[1] * channels);
                byte* p2 = source + (s[2] * channels), p3 = source + (s[3] * channels);
                Vector256<int> lowA = default, highA = default, lowB = default, highB = default;
                for (var group = _weights.Groups[block * BlockSize]; group > 0; group--)
                {
                    var a = Vector256.Create(Vector128.Load(p0), Vector128.Load(p1));
                    var b = Vector256.Create(Vector128.Load(p2), Vector128.Load(p3));
                    Accumulate(Avx2.Shuffle(a, firstPair), parts, ref lowA, ref highA);
                    Accumulate(Avx2.Shuffle(b, firstPair), parts + 16, ref lowB, ref highB);
                    Accumulate(Avx2.Shuffle(a, secondPair), parts + (2 * ShortsPerPart), ref lowA, ref highA);
                    Accumulate(Avx2.Shuffle(b, secondPair), parts + (2 * ShortsPerPart) + 16, ref lowB, ref highB);
                    p0 += GroupSize * channels;
                    p1 += GroupSize * channels;
                    p2 += GroupSize * channels;
                    p3 += GroupSize * channels;
                    parts += ShortsPerGroup;
                }

                var sumA = ((highA << LowBits) + lowA + half) >> AxisWeights.PrecisionBits;
                var sumB = ((highB << LowBits) + lowB + half) >> AxisWeights.PrecisionBits;
                var words = Avx2.PackSignedSaturate(sumA, sumB);
                var bytes = Avx2.PackUnsignedSaturate(words, words).AsInt32();
                var pixels = Sse2.UnpackLow(bytes.GetLower(), bytes.GetUpper()).AsByte();
                Ssse3.Shuffle(pixels, compact).Store(target);
                target += BlockSize * channels;
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Accumulate(Vector256<byte> pairs, short* parts, ref Vector256<int> low, ref Vector256<int> high)
    {
        low += Avx2.MultiplyAddAdjacent(pairs.AsInt16(), Vector256.Load(parts));
        high += Avx2.MultiplyAddAdjacent(pairs.AsInt16(), Vector256.Load(parts + ShortsPerPart));
    }

    private void RunAvx512(byte* source, byte* target, int channels)
    {
        var firstPair = Broadcast(PairShuffle(channels, 0));
        var secondPair = Broadcast(PairShuffle(channels, 2));
        var compact = CompactShuffle(channels);
        var half = Vector512.Create(1 << (AxisWeights.PrecisionBits - 1));
        fixed (int* starts = _start)
        fixed (short* allParts = _parts)
        {
            var parts = allParts;
            for (var block = 0; block < Blocks; block++)
            {
                var s = starts + (block * BlockSize);
                byte* p0 = source + (s[0] * channels), p1 = source + (s[1] * channels);
                byte* p2 = source + (s[2] * channels), p3 = source + (s[3] * channels);
                Vector512<int> low = default, high = default;
                for (var group = _weights.Groups[block * BlockSize]; group > 0; group--)
                {
                    var pixels = Vector512.Create(
                        Vector256.Create(Vector128.Load(p0), Vector128.Load(p1)),
                        Vector256.Create(Vector128.Load(p2), Vector128.Load(p3)));
                    var first = Avx512BW.Shuffle(pixels, firstPair).AsInt16();
                    var second = Avx512BW.Shuffle(pixels, secondPair).AsInt16();
                    low += Avx512BW.MultiplyAddAdjacent(first, Vector512.Load(parts));
                    high += Avx512BW.MultiplyAddAdjacent(first, Vector512.Load(parts + ShortsPerPart));
                    low += Avx512BW.MultiplyAddAdjacent(second, Vector512.Load(parts + (2 * ShortsPerPart)));
                    high += Avx512BW.MultiplyAddAdjacent(second, Vector512.Load(parts + (3 * ShortsPerPart)));
                    p0 += GroupSize * channels;
                    p1 += GroupSize * channels;
                    p2 += GroupSize * channels;
                    p3 += GroupSize * channels;
                    parts += ShortsPerGroup;
                }

                var sum = ((high << LowBits) + low + half) >> AxisWeights.PrecisionBits;
                var bytes = Avx512F.ConvertToVector128ByteWithSaturation(Vector512.Max(sum, default).AsUInt32());
                Ssse3.Shuffle(bytes, compact).Store(target);
                target += BlockSize * channels;
            }
        }
    }

    private static Vector512<byte> Broadcast(Vector128<byte> lane) =>
        Vector512.Create(Vector256.Create(lane, lane), Vector256.Create(lane, lane));

    /// <summary>Selects, for each channel, the bytes of taps <paramref name="tap"/> and tap + 1 as 16-bit numbers.</summary>
    private static Vector128<byte> PairShuffle(int channels, int tap)
    {
        const byte Zero = 0x80;
        Span<byte> shuffle = stackalloc byte[16];
        shuffle.Fill(Zero);
        for (var channel = 0; channel < channels; channel++)
        {
            shuffle[4 * channel] = (byte)((tap * channels) + channel);
            shuffle[(4 * channel) + 2] = (byte)(((tap + 1) * channels) + channel);
        }

        return Vector128.Create<byte>(shuffle);
    }

    /// <summary>Moves four pixels of four bytes together to pixels of <paramref name="channels"/> bytes.</summary>
    private static Vector128<byte> CompactShuffle(int channels)
    {
        Span<byte> shuffle = stackalloc byte[16];
        shuffle.Fill(0x80);
        for (var i = 0; i < BlockSize * channels; i++)
        {
            shuffle[i] = (byte)((i / channels * 4) + (i % channels));
        }

        return Vector128.Create<byte>(shuffle);
    }
}
