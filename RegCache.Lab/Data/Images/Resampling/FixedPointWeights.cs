namespace RegCache.Lab.Data.Images.Resampling;

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
