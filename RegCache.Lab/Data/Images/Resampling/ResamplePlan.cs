using System.Collections.Concurrent;
using System.Diagnostics;

namespace RegCache.Lab.Data.Images.Resampling;

/// <summary>The passes that take an image of one size to the visible part of a resized one.</summary>
internal sealed class ResamplePlan
{
    // Files of a data set share few sizes; more than this many are not worth their memory.
    private const int MostKept = 64;

    private static readonly ConcurrentDictionary<Key, ResamplePlan> Kept = new();

    private readonly Key _key;
    private readonly Lazy<AxisWeights?> _columns;
    private readonly Lazy<AxisWeights?> _rows;
    private readonly Lazy<HorizontalPass?> _horizontal;
    private readonly Lazy<VerticalPass?> _vertical;

    private ResamplePlan(Key key)
    {
        _key = key;
        _columns = new(() => key.Width == key.ResizedWidth
            ? null
            : new AxisWeights(key.Width, key.ResizedWidth, key.Visible.Left, key.Visible.Width, key.Interpolation));
        _rows = new(() => key.Height == key.ResizedHeight
            ? null
            : new AxisWeights(key.Height, key.ResizedHeight, key.Visible.Top, key.Visible.Height, key.Interpolation));
        _horizontal = new(() => _columns.Value is { } axis ? new HorizontalPass(axis) : null);
        _vertical = new(() => _rows.Value is { } axis ? new VerticalPass(axis) : null);
    }

    /// <summary>The part of the resized image that is computed.</summary>
    public CropBox Visible => _key.Visible;

    /// <summary>Whether neither side changes its length.</summary>
    public bool IsCopy => _key.Width == _key.ResizedWidth && _key.Height == _key.ResizedHeight;

    /// <summary>The windows across, null when the width stays.</summary>
    public AxisWeights? Columns => _columns.Value;

    /// <summary>The windows down, null when the height stays.</summary>
    public AxisWeights? Rows => _rows.Value;

    /// <summary>The pass across, null when the width stays.</summary>
    public HorizontalPass? Horizontal => _horizontal.Value;

    /// <summary>The pass down, null when the height stays.</summary>
    public VerticalPass? Vertical => _vertical.Value;

    /// <summary>The plan for these sizes, made once.</summary>
    public static ResamplePlan For(
        int width, int height, int resizedWidth, int resizedHeight, CropBox visible, Interpolation interpolation)
    {
        if (Kept.Count >= MostKept)
        {
            Kept.Clear();
        }

        return Kept.GetOrAdd(
            new Key(width, height, resizedWidth, resizedHeight, visible, interpolation), key => new ResamplePlan(key));
    }

    /// <summary>The nearest source columns of the visible ones.</summary>
    public int[] NearestColumns() =>
        NearestResampler.SourceIndices(_key.Width, _key.ResizedWidth, Visible.Left, Visible.Width);

    /// <summary>The nearest source rows of the visible ones.</summary>
    public int[] NearestRows() =>
        NearestResampler.SourceIndices(_key.Height, _key.ResizedHeight, Visible.Top, Visible.Height);

    private readonly record struct Key(
        int Width, int Height, int ResizedWidth, int ResizedHeight, CropBox Visible, Interpolation Interpolation);
}

/// <summary>
/// The resampling windows of one axis in Pillow's arithmetic: output i is a weighted mean of the source samples
/// [<see cref="Start"/>, Start + <see cref="Count"/>). Computed for the outputs that survive the crop only.
/// </summary>
internal sealed class AxisWeights
{
    /// <summary>Fraction bits of an integer weight.</summary>
    public const int PrecisionBits = 22;

    private readonly double[] _weights;

    /// <summary>Computes the windows of outputs [first, first + outputs) of a resize from inputLength to outputLength.</summary>
    public AxisWeights(int inputLength, int outputLength, int first, int outputs, Interpolation interpolation)
    {
        var scale = (double)inputLength / outputLength;
        var filterScale = Math.Max(scale, 1.0);
        var (radius, kernel) = interpolation switch
        {
            Interpolation.Bicubic => (2.0, (Func<double, double>)Cubic),
            Interpolation.Bilinear => (1.0, Triangle),
            _ => throw new UnreachableException(),
        };
        var support = radius * filterScale;
        InputLength = inputLength;
        Taps = Math.Min(((int)Math.Ceiling(support) * 2) + 1, inputLength);
        Start = new int[outputs];
        Count = new int[outputs];
        _weights = new double[checked(outputs * Taps)];
        for (var i = 0; i < outputs; i++)
        {
            var center = (first + i + 0.5) * scale;
            var start = Math.Max(0, (int)(center - support + 0.5));
            var end = Math.Min(inputLength, (int)(center + support + 0.5));
            (Start[i], Count[i]) = (start, end - start);
            FillWindow(_weights.AsSpan(i * Taps, end - start), start, center, 1.0 / filterScale, kernel);
        }
    }

    /// <summary>Source samples along the axis.</summary>
    public int InputLength { get; }

    /// <summary>The most taps any window has.</summary>
    public int Taps { get; }

    /// <summary>The first source sample of every window.</summary>
    public int[] Start { get; }

    /// <summary>How many source samples every window has.</summary>
    public int[] Count { get; }

    /// <summary>How many outputs there are.</summary>
    public int Outputs => Start.Length;

    /// <summary>The first source sample that any window needs.</summary>
    public int FirstNeeded => Start[0];

    /// <summary>One behind the last source sample that any window needs.</summary>
    public int EndNeeded => Start[^1] + Count[^1];

    /// <summary>The normalised weights of a window.</summary>
    public ReadOnlySpan<double> Exact(int output) => _weights.AsSpan(output * Taps, Count[output]);

    /// <summary>A normalised weight as an integer of <see cref="PrecisionBits"/> fraction bits, half rounded away from zero.</summary>
    public static int ToFixed(double weight) =>
        (int)((weight * (1 << PrecisionBits)) + (weight < 0 ? -0.5 : 0.5));

    private static void FillWindow(
        Span<double> window, int start, double center, double inverseScale, Func<double, double> kernel)
    {
        var sum = 0.0;
        for (var i = 0; i < window.Length; i++)
        {
            // The order of these operations decides the last bit.
            var x = Math.Abs((start + i - center + 0.5) * inverseScale);
            window[i] = kernel(x);
            sum += window[i];
        }

        if (sum != 0.0)
        {
            foreach (ref var weight in window)
            {
                weight /= sum;
            }
        }
    }

    private static double Triangle(double x) => Math.Max(0.0, 1.0 - x);

    private static double Cubic(double x)
    {
        const double A = -0.5;
        return x < 1.0 ? ((((A + 2.0) * x) - (A + 3.0)) * x * x) + 1.0
            : x < 2.0 ? (((((x - 5.0) * x) + 8.0) * x) - 4.0) * A
            : 0.0;
    }
}

/// <summary>
/// The integer weights of an axis, each window moved so that a whole number of tap groups can be read: window i covers
/// source samples [<see cref="Start"/>[i], Start[i] + <see cref="Groups"/>[i] * group size), padded with zero weights,
/// and goes beyond the source's end only where the source is shorter than its groups.
/// </summary>
internal sealed class FixedPointWeights
{
    private readonly int[] _offset;

    /// <param name="axis">The windows.</param>
    /// <param name="groupSize">Taps that are read together.</param>
    /// <param name="blockSize">Neighbouring outputs that must have the same number of groups.</param>
    public FixedPointWeights(AxisWeights axis, int groupSize, int blockSize)
    {
        Start = new int[axis.Outputs];
        Groups = new int[axis.Outputs];
        _offset = new int[axis.Outputs + 1];
        for (var i = 0; i < axis.Outputs; i++)
        {
            var block = axis.Count.AsSpan(i - (i % blockSize));
            var taps = 0;
            foreach (var count in block[..Math.Min(blockSize, block.Length)])
            {
                taps = Math.Max(taps, count);
            }

            Groups[i] = (taps + groupSize - 1) / groupSize;
            Start[i] = Math.Min(axis.Start[i], Math.Max(0, axis.InputLength - (Groups[i] * groupSize)));
            _offset[i + 1] = checked(_offset[i] + (Groups[i] * groupSize));
        }

        Values = new int[_offset[^1]];
        for (var i = 0; i < axis.Outputs; i++)
        {
            var window = Values.AsSpan(_offset[i] + axis.Start[i] - Start[i]);
            var exact = axis.Exact(i);
            for (var tap = 0; tap < exact.Length; tap++)
            {
                window[tap] = AxisWeights.ToFixed(exact[tap]);
            }
        }
    }

    /// <summary>The first source sample of every padded window.</summary>
    public int[] Start { get; }

    /// <summary>Tap groups of every window.</summary>
    public int[] Groups { get; }

    /// <summary>All weights, window after window.</summary>
    public int[] Values { get; }

    /// <summary>The padded weights of a window.</summary>
    public ReadOnlySpan<int> Window(int output) => Values.AsSpan(_offset[output].._offset[output + 1]);
}
