namespace RegCache.Lab.Training.Augmentation;

/// <summary>Fills random boxes of a normalised image (Zhong et al. 2020, arXiv:1708.04896), as timm does.</summary>
/// <param name="Probability">Share of the images that lose boxes.</param>
/// <param name="Mode">What fills a box.</param>
/// <param name="Count">Boxes of an image.</param>
public sealed record RandomErasing(double Probability = 0.25, ErasingMode Mode = ErasingMode.Pixel, int Count = 1)
{
    private const int Tries = 10;
    private const double SmallestArea = 0.02;
    private const double LargestArea = 1 / 3.0;
    private const double WidestAspect = 1 / 0.3;

    /// <summary>Changes an image.</summary>
    /// <param name="planes">The normalised image [3,H,W].</param>
    /// <param name="height">Rows.</param>
    /// <param name="width">Columns.</param>
    /// <param name="random">Where the draws come from.</param>
    public void Apply(Span<float> planes, int height, int width, ref CounterRandom random)
    {
        if (!random.NextBool(Probability))
        {
            return;
        }

        for (var box = 0; box < Count; box++)
        {
            for (var attempt = 0; attempt < Tries; attempt++)
            {
                var area = random.Next(SmallestArea, LargestArea) * height * width / Count;
                var aspect = Math.Exp(random.Next(-Math.Log(WidestAspect), Math.Log(WidestAspect)));
                var (rows, columns) = ((int)Math.Round(Math.Sqrt(area * aspect)), (int)Math.Round(Math.Sqrt(area / aspect)));
                if (rows < height && columns < width)
                {
                    var (top, left) = (random.NextIndex(height - rows + 1), random.NextIndex(width - columns + 1));
                    Fill(planes, height, width, new(top, left, rows, columns), ref random);
                    break;
                }
            }
        }
    }

    private void Fill(Span<float> planes, int height, int width, MixBox box, ref CounterRandom random)
    {
        for (var channel = 0; channel < 3; channel++)
        {
            var colour = Mode == ErasingMode.Rand ? (float)random.NextNormal() : 0;
            for (var row = box.Top; row < box.Top + box.Height; row++)
            {
                var line = planes.Slice((((channel * height) + row) * width) + box.Left, box.Width);
                if (Mode == ErasingMode.Pixel)
                {
                    random.FillStandardNormal(line);
                }
                else
                {
                    line.Fill(colour);
                }
            }
        }
    }
}

/// <summary>What fills an erased box.</summary>
public enum ErasingMode
{
    /// <summary>Standard normal noise, every value by itself.</summary>
    Pixel,

    /// <summary>One colour of standard normal channels.</summary>
    Rand,

    /// <summary>Zero, the mean colour.</summary>
    Const,
}
