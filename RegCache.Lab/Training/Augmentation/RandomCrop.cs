using RegCache.Lab.Data.Images;

namespace RegCache.Lab.Training.Augmentation;

/// <summary>The random resized crop of CLIP's training, with torchvision's rule and OpenCLIP's areas.</summary>
/// <param name="SmallestArea">Smallest share of the image's area.</param>
/// <param name="LargestArea">Largest share of the image's area.</param>
public sealed record RandomCrop(double SmallestArea = 0.9, double LargestArea = 1)
{
    private const int Tries = 10;
    private const double NarrowestAspect = 3.0 / 4;
    private const double WidestAspect = 4.0 / 3;

    /// <summary>Draws a box: uniform area, log-uniform aspect; after ten misfits the largest centred box of a legal aspect.</summary>
    public CropBox Draw(int width, int height, ref CounterRandom random)
    {
        for (var attempt = 0; attempt < Tries; attempt++)
        {
            var area = width * (double)height * random.Next(SmallestArea, LargestArea);
            var aspect = Math.Exp(random.Next(Math.Log(NarrowestAspect), Math.Log(WidestAspect)));
            var boxWidth = (int)Math.Round(Math.Sqrt(area * aspect));
            var boxHeight = (int)Math.Round(Math.Sqrt(area / aspect));
            if (boxWidth > 0 && boxWidth <= width && boxHeight > 0 && boxHeight <= height)
            {
                var top = random.NextIndex(height - boxHeight + 1);
                var left = random.NextIndex(width - boxWidth + 1);
                return new(left, top, boxWidth, boxHeight);
            }
        }

        var ratio = (double)width / height;
        var (fallbackWidth, fallbackHeight) = ratio < NarrowestAspect
            ? (width, (int)Math.Round(width / NarrowestAspect))
            : ratio > WidestAspect ? ((int)Math.Round(height * WidestAspect), height) : (width, height);
        return new((width - fallbackWidth) / 2, (height - fallbackHeight) / 2, fallbackWidth, fallbackHeight);
    }
}
