using RegCache.Lab.Data.Shapes;

namespace RegCache.Lab.Training.ShapesClip;

/// <summary>
/// How much a patch tells: the mean absolute difference between its pixels and the image's median colour. Objects score
/// high, plain background scores low.
/// </summary>
internal static class PatchInformation
{
    private const int Side = ShapesScene.Side;

    /// <summary>Scores the patches of an image, row by row.</summary>
    /// <param name="pixels">The image, rows of pixels of red, green and blue.</param>
    /// <param name="patchSize">Side of a patch in pixels.</param>
    /// <param name="scores">One score a patch, 0 to 255.</param>
    public static void Score(ReadOnlySpan<byte> pixels, int patchSize, Span<float> scores)
    {
        Span<int> median = [Median(pixels, 0), Median(pixels, 1), Median(pixels, 2)];
        var grid = Side / patchSize;
        Span<int> sums = stackalloc int[scores.Length];
        sums.Clear();
        for (var y = 0; y < Side; y++)
        {
            var row = pixels.Slice(y * Side * 3, Side * 3);
            for (var patch = 0; patch < grid; patch++)
            {
                var sum = 0;
                var part = row.Slice(patch * patchSize * 3, patchSize * 3);
                for (var index = 0; index < part.Length; index += 3)
                {
                    sum += Math.Abs(part[index] - median[0]) + Math.Abs(part[index + 1] - median[1]) + Math.Abs(part[index + 2] - median[2]);
                }

                sums[(y / patchSize * grid) + patch] += sum;
            }
        }

        for (var patch = 0; patch < scores.Length; patch++)
        {
            scores[patch] = sums[patch] / (3f * patchSize * patchSize);
        }
    }

    private static int Median(ReadOnlySpan<byte> pixels, int channel)
    {
        Span<int> histogram = stackalloc int[256];
        histogram.Clear();
        for (var index = channel; index < pixels.Length; index += 3)
        {
            histogram[pixels[index]]++;
        }

        var (level, below) = (0, histogram[0]);
        while (below <= Side * Side / 2)
        {
            below += histogram[++level];
        }

        return level;
    }
}
