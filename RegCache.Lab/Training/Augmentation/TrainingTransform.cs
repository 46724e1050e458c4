using RegCache.Lab.Data.Images;
using RegCache.Lab.Data.Images.Resampling;

namespace RegCache.Lab.Training.Augmentation;

/// <summary>What happens to a training image of a classifier (docs/methods/late-tokens.md, "Augmentation").</summary>
public sealed record TrainingTransformOptions
{
    /// <summary>Rows and columns of the model's input.</summary>
    public required int Side { get; init; }

    /// <summary>RandAugment; null for none.</summary>
    public RandAugment? RandAugment { get; init; }

    /// <summary>Largest change of brightness, contrast and saturation; off where <see cref="RandAugment"/> is on.</summary>
    public double ColorJitter { get; init; } = 0.3;

    /// <summary>Largest turn of the hue in full circles, with the other changes of colour; 0 leaves it alone.</summary>
    public double HueJitter { get; init; }

    /// <summary>Largest turn of the image in degrees, either way, behind the flip; 0 turns nothing.</summary>
    public double Rotation { get; init; }

    /// <summary>The boxes that are filled in the end; null for none. Off with <see cref="ThreeAugment"/>.</summary>
    public RandomErasing? Erasing { get; init; }

    /// <summary>
    /// DeiT III's augmentation (Touvron et al. 2022, arXiv:2204.07118, section 3.2) instead: exactly one of grey, solarised and blurred, then
    /// the colours.
    /// </summary>
    public bool ThreeAugment { get; init; }

    /// <summary>
    /// Resize and a crop of the image with a border around it, instead of a resized crop: reflected with <see cref="ThreeAugment"/>, else black.
    /// </summary>
    public bool SimpleCrop { get; init; }

    /// <summary>Subtracted from every channel.</summary>
    public RgbValues Mean { get; init; } = PreprocessOptions.ImageNetMean;

    /// <summary>Divides every channel.</summary>
    public RgbValues StandardDeviation { get; init; } = PreprocessOptions.ImageNetStandardDeviation;
}

/// <summary>
/// Makes the model input of a training image: crop, flip, colours, normalisation, erasing. What it does depends on the options and the
/// stream of random numbers alone. May be used by several threads, each with a picture of its own.
/// </summary>
public sealed class TrainingTransform
{
    /// <summary>Images up to this side are not enlarged or shrunk, but moved by <see cref="Padding"/> pixels.</summary>
    public const int SmallSide = 32;

    private const int Padding = 4;
    private const double BlurLow = 0.1;
    private const double BlurHigh = 2;
    private const int SolarizeThreshold = 128;

    private readonly TrainingTransformOptions _options;
    private readonly ImagePreprocessor _preprocessor;
    private readonly RandomCrop _crop = new(0.08, 1);
    private readonly ColorJitter? _jitter;

    /// <summary>Prepares the transform.</summary>
    /// <exception cref="UserException">The side or a deviation is out of range.</exception>
    public TrainingTransform(TrainingTransformOptions options)
    {
        _options = options;
        _preprocessor = new(new PreprocessOptions(options.Side) { Mean = options.Mean, StandardDeviation = options.StandardDeviation });
        var isJittered = (options.ColorJitter > 0 || options.HueJitter > 0) && (options.ThreeAugment || options.RandAugment is null);
        _jitter = isJittered ? new(options.ColorJitter, options.ColorJitter, options.ColorJitter, options.HueJitter) : null;
    }

    /// <summary>Floats of an image's input: 3 H W.</summary>
    public int OutputLength => _preprocessor.OutputLength;

    /// <summary>A picture of the size that <see cref="Apply"/> takes.</summary>
    public Picture NewPicture() => new(_options.Side, _options.Side);

    /// <summary>Makes the input.</summary>
    /// <param name="image">The image.</param>
    /// <param name="picture">Memory to work in.</param>
    /// <param name="random">Where the draws come from.</param>
    /// <param name="planes">Receives [3,H,W].</param>
    public void Apply(DecodedImage image, Picture picture, ref CounterRandom random, Span<float> planes)
    {
        ApplyToPixels(image, picture, ref random);
        _preprocessor.Normalize(picture.Pixels, planes);
        if (!_options.ThreeAugment)
        {
            _options.Erasing?.Apply(planes[..OutputLength], _options.Side, _options.Side, ref random);
        }
    }

    /// <summary>The part of it before normalisation.</summary>
    internal void ApplyToPixels(DecodedImage image, Picture picture, ref CounterRandom random)
    {
        Crop(image, picture, ref random);
        if (random.NextBool(0.5))
        {
            Flip(picture);
        }

        if (_options.Rotation > 0)
        {
            var degrees = random.Next(-_options.Rotation, _options.Rotation);
            AffineTransform.Rotate(degrees, picture.Width, picture.Height).Apply(picture);
        }

        if (_options.ThreeAugment)
        {
            ChangeOnce(picture, ref random);
        }
        else
        {
            _options.RandAugment?.Apply(picture, ref random);
        }

        _jitter?.Apply(picture.Pixels, ref random);
    }

    /// <summary>Swaps left and right.</summary>
    internal static void Flip(Picture picture)
    {
        var stride = picture.Width * 3;
        for (var row = 0; row < picture.Height; row++)
        {
            var line = picture.Pixels.Slice(row * stride, stride);
            for (int left = 0, right = stride - 3; left < right; left += 3, right -= 3)
            {
                (line[left], line[right]) = (line[right], line[left]);
                (line[left + 1], line[right + 1]) = (line[right + 1], line[left + 1]);
                (line[left + 2], line[right + 2]) = (line[right + 2], line[left + 2]);
            }
        }
    }

    private static void ChangeOnce(Picture picture, ref CounterRandom random)
    {
        switch (random.NextIndex(3))
        {
            case 0:
                PixelOperations.Grey(picture.Pixels);
                break;
            case 1:
                PixelOperations.Solarize(picture.Pixels, SolarizeThreshold);
                break;
            default:
                GaussianBlur.Apply(picture, random.Next(BlurLow, BlurHigh));
                break;
        }
    }

    private void Crop(DecodedImage image, Picture picture, ref CounterRandom random)
    {
        var side = _options.Side;
        if (_options.SimpleCrop)
        {
            using var resized = ResizedShorterSide(image, side);
            CropPadded(resized.Pixels, resized.Width, resized.Height, picture, _options.ThreeAugment ? Reflected : Black, ref random);
        }
        else if (side > SmallSide)
        {
            _preprocessor.ToRgb(image, _crop.Draw(image.Width, image.Height, ref random), picture.Pixels);
        }
        else
        {
            // Images of another size are brought to it as in an evaluation.
            _preprocessor.ToRgb(image, picture.Spare);
            CropPadded(picture.Spare, side, side, picture, Black, ref random);
        }
    }

    private static DecodedImage ResizedShorterSide(DecodedImage image, int side)
    {
        var longer = (int)((long)side * Math.Max(image.Width, image.Height) / (double)Math.Min(image.Width, image.Height));
        var (width, height) = image.Width <= image.Height ? (side, longer) : (longer, side);
        var resized = DecodedImage.Rent(image.Name, width, height, PixelLayout.Rgb, null);
        var plan = ResamplePlan.For(image.Width, image.Height, width, height, new CropBox(0, 0, width, height), Interpolation.Bicubic);
        ByteResampler.Run(plan, image.Padded, image.Width * 3, 3, resized.Writable, width * 3, InstructionSets.Best);
        return resized;
    }

    // Where a place outside of 0 .. count - 1 takes its pixels from; -1: it is black.
    private static int Black(int place, int count) => place >= 0 && place < count ? place : -1;

    private static int Reflected(int place, int count)
    {
        if (count == 1)
        {
            return 0;
        }

        var wrapped = Math.Abs(place) % (2 * (count - 1));
        return wrapped < count ? wrapped : (2 * (count - 1)) - wrapped;
    }

    private static void CropPadded(
        ReadOnlySpan<byte> source, int width, int height, Picture picture, Func<int, int, int> from, ref CounterRandom random)
    {
        var top = random.NextIndex(height + (2 * Padding) - picture.Height + 1) - Padding;
        var left = random.NextIndex(width + (2 * Padding) - picture.Width + 1) - Padding;
        var target = picture.Pixels;
        for (int row = 0, at = 0; row < picture.Height; row++)
        {
            var sourceRow = from(top + row, height);
            for (var column = 0; column < picture.Width; column++, at += 3)
            {
                var sourceColumn = from(left + column, width);
                if (sourceRow < 0 || sourceColumn < 0)
                {
                    target.Slice(at, 3).Clear();
                }
                else
                {
                    source.Slice(((sourceRow * width) + sourceColumn) * 3, 3).CopyTo(target[at..]);
                }
            }
        }
    }
}
