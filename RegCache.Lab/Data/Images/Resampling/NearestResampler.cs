namespace RegCache.Lab.Data.Images.Resampling;

/// <summary>Resizes palette indices by choosing the nearest, since their mean would be no colour.</summary>
internal static class NearestResampler
{
    /// <summary>
    /// The source index for outputs [first, first + outputs) of a resize. Positions are summed up step by step, which
    /// is what decides near pixel borders in Pillow.
    /// </summary>
    public static int[] SourceIndices(int inputLength, int outputLength, int first, int outputs)
    {
        var indices = new int[outputs];
        var step = (double)inputLength / outputLength;
        var position = step * 0.5;
        for (var i = 0; i < first + outputs; i++, position += step)
        {
            if (i >= first)
            {
                indices[i - first] = Math.Min((int)position, inputLength - 1);
            }
        }

        return indices;
    }
}
