using RegCache.Lab.Data.Images;
using RegCache.Lab.Training.Augmentation;

namespace RegCache.Lab.Training.Clip;

/// <summary>The random changes of a training image: crop, then colours.</summary>
/// <param name="Crop">The random crop; null resizes and crops at the centre.</param>
/// <param name="Jitter">The change of colours; null keeps them.</param>
/// <param name="JitterProbability">Share of the images that <paramref name="Jitter"/> changes.</param>
/// <param name="GreyProbability">Share of the images that become grey.</param>
public sealed record ImageAugmentation(
    RandomCrop? Crop = null, ColorJitter? Jitter = null, double JitterProbability = 1, double GreyProbability = 0)
{
    /// <summary>Whether nothing is random.</summary>
    public bool IsNone => Crop is null && Jitter is null && GreyProbability == 0;

    /// <summary>Resizes and crops an image to the model's input, and changes its colours.</summary>
    /// <param name="image">The image, of RGB pixels.</param>
    /// <param name="preprocessor">How images become input.</param>
    /// <param name="random">Where the draws come from.</param>
    /// <param name="rgb">Receives [H,W,3].</param>
    public void Apply(DecodedImage image, ImagePreprocessor preprocessor, ref CounterRandom random, Span<byte> rgb)
    {
        if (Crop is null)
        {
            preprocessor.ToRgb(image, rgb);
        }
        else
        {
            preprocessor.ToRgb(image, Crop.Draw(image.Width, image.Height, ref random), rgb);
        }

        if (Jitter is not null && random.NextBool(JitterProbability))
        {
            Jitter.Apply(rgb, ref random);
        }

        if (GreyProbability > 0 && random.NextBool(GreyProbability))
        {
            PixelOperations.Grey(rgb);
        }
    }
}
