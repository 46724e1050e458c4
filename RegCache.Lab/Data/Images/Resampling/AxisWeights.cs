namespace RegCache.Lab.Data.Images.Resampling;

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
        var support = (interpolation == Interpolation.Bicubic ? 2.0 : 1.0) * filterScale;
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
            FillWindow(_weights.AsSpan(i * Taps, end - start), start, center, 1.0 / filterScale, interpolation);
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
        Span<double> window, int start, double center, double inverseScale, Interpolation interpolation)
    {
        var sum = 0.0;
        for (var i = 0; i < window.Length; i++)
        {
            // The order of these operations decides the last bit.
            var x = Math.Abs((start + i - center + 0.5) * inverseScale);
            window[i] = interpolation == Interpolation.Bicubic ? Cubic(x) : Math.Max(0.0, 1.0 - x);
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

    private static double Cubic(double x)
    {
        const double A = -0.5;
        return x < 1.0 ? ((((A + 2.0) * x) - (A + 3.0)) * x * x) + 1.0
            : x < 2.0 ? (((((x - 5.0) * x) + 8.0) * x) - 4.0) * A
            : 0.0;
    }
}
