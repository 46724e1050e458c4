using RegCache.Lab.Data.Images;

namespace RegCache.Lab.Placement;

/// <summary>
/// How images become the input of classifiers that are trained with DeiT's recipe (Touvron et al. 2021, arXiv:2012.12877): the shorter side
/// is resized to the input's size divided by a ratio, bicubic, the middle is cut out, and ImageNet's mean and deviation normalise it,
/// whatever the data set.
/// </summary>
public static class EvaluationTransform
{
    /// <summary>Part of the shorter side that is cut out where nothing else is said.</summary>
    public const double CropRatio = 0.875;

    // Inputs up to this size are for sets of such small images, which lose nothing.
    private const int SmallSide = 32;

    /// <summary>The transform for an input size.</summary>
    /// <param name="size">The model's input.</param>
    /// <param name="cropRatio">Part of the shorter side that is cut out, above 0 to 1; inputs of up to 32 pixels show all of it.</param>
    public static PreprocessOptions Of((int Height, int Width) size, double cropRatio = CropRatio) => new(size.Height, size.Width)
    {
        Mean = PreprocessOptions.ImageNetMean,
        StandardDeviation = PreprocessOptions.ImageNetStandardDeviation,
        CropRatio = Math.Max(size.Height, size.Width) > SmallSide ? cropRatio : 1,
    };
}
