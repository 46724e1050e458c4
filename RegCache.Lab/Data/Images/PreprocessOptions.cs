namespace RegCache.Lab.Data.Images;

/// <summary>
/// How an image becomes model input: resize, crop or pad, convert to RGB, divide (by 255), subtract the mean, divide by
/// the standard deviation. Options compare by value.
/// </summary>
/// <param name="Height">Rows of the model's input.</param>
/// <param name="Width">Columns of the model's input.</param>
public sealed record PreprocessOptions(int Height, int Width)
{
    /// <summary>Options for a square input with OpenAI's mean and standard deviation.</summary>
    public PreprocessOptions(int size)
        : this(size, size)
    {
    }

    /// <summary>Mean of OpenAI's training images.</summary>
    public static RgbValues OpenAiMean { get; } = new(0.48145466, 0.4578275, 0.40821073);

    /// <summary>Standard deviation of OpenAI's training images.</summary>
    public static RgbValues OpenAiStandardDeviation { get; } = new(0.26862954, 0.26130258, 0.27577711);

    /// <summary>Mean of ImageNet.</summary>
    public static RgbValues ImageNetMean { get; } = new(0.485, 0.456, 0.406);

    /// <summary>Standard deviation of ImageNet.</summary>
    public static RgbValues ImageNetStandardDeviation { get; } = new(0.229, 0.224, 0.225);

    /// <summary>What is subtracted from each channel.</summary>
    public RgbValues Mean { get; init; } = OpenAiMean;

    /// <summary>What each channel is divided by afterwards.</summary>
    public RgbValues StandardDeviation { get; init; } = OpenAiStandardDeviation;

    /// <summary>The resampling filter.</summary>
    public Interpolation Interpolation { get; init; } = Interpolation.Bicubic;

    /// <summary>
    /// Part of the resized image's shorter side that <see cref="ResizeMode.Shortest"/> keeps, above 0 to 1: the image is
    /// resized to the input's size divided by it, rounded down, and the middle is cut out. <see cref="ResizeTo"/> replaces it.
    /// </summary>
    public double CropRatio { get; init; } = 1;

    /// <summary>How the image's shape is fitted to the input's.</summary>
    public ResizeMode ResizeMode { get; init; } = ResizeMode.Shortest;

    /// <summary>
    /// The size to resize to where it is not the input's, instead of what <see cref="CropRatio"/> asks for: with
    /// <see cref="ResizeMode.Shortest"/> what has to be covered, with <see cref="ResizeMode.Longest"/> what the whole image has to fit
    /// into, with <see cref="ResizeMode.Squash"/> the new shape; <see cref="ResizeMode.None"/> does without it. Sides from 1 to
    /// <see cref="ImagePreprocessor.MaximumSize"/>. The input is cut out of the middle; what is missing is filled.
    /// </summary>
    public (int Height, int Width)? ResizeTo { get; init; }

    /// <summary>Where the middle of an image is when a surplus is odd.</summary>
    public CropRounding CropRounding { get; init; } = CropRounding.HalfEven;

    /// <summary>What a byte is divided by before the mean is subtracted; finite and above 0.</summary>
    public double Divisor { get; init; } = 255;

    /// <summary>
    /// The value of every stored channel of a pixel that is added (for palette images
    /// the index, for CMYK the inks), before the conversion to RGB.
    /// </summary>
    public byte Fill { get; init; }
}

/// <summary>How an image of any shape becomes one of the target size.</summary>
public enum ResizeMode
{
    /// <summary>The whole target is covered; the surplus is cut off on both sides alike.</summary>
    Shortest,

    /// <summary>The whole image is kept, the rest of the target is filled.</summary>
    Longest,

    /// <summary>The image is resized to the target's shape.</summary>
    Squash,

    /// <summary>The image is not resized; its middle is cut out.</summary>
    None,
}

/// <summary>How half of an odd surplus is rounded, which is cut off in front of the middle.</summary>
public enum CropRounding
{
    /// <summary>To the even number, as torchvision and OpenCLIP do; the smaller half of a gap lies in front.</summary>
    HalfEven,

    /// <summary>Down, as transformers does; the larger half of a gap lies in front.</summary>
    Down,
}

/// <summary>Resampling filters; both widen with the scale when an image shrinks (antialiasing).</summary>
public enum Interpolation
{
    /// <summary>Cubic convolution with a = -0.5, Pillow's <c>BICUBIC</c>.</summary>
    Bicubic,

    /// <summary>A triangle of one pixel's radius, Pillow's <c>BILINEAR</c>.</summary>
    Bilinear,
}

/// <summary>One number for each colour channel, on the scale of divided pixels.</summary>
public readonly record struct RgbValues(double Red, double Green, double Blue)
{
    /// <summary>The same number for all three channels.</summary>
    public static RgbValues All(double value) => new(value, value, value);
}
