using System.Text.Json;
using RegCache.Lab.Data.Images;

namespace RegCache.Lab.Encoders.Checkpoints;

/// <summary>
/// How a model's images are prepared, from the <c>preprocess_cfg</c> of OpenCLIP's <c>open_clip_config.json</c> or from HuggingFace's
/// <c>preprocessor_config.json</c>. What a file does not say is OpenAI's way; what it says and the kit does not do is refused.
/// </summary>
internal static class PreprocessJson
{
    // Pillow's numbers of its filters, which HuggingFace writes.
    private const int PillowBilinear = 2;
    private const int PillowBicubic = 3;

    // A factor that a file gives in fewer digits means 1/255 all the same.
    private const double FactorTolerance = 1e-6;

    private const int MaxPixel = 255;

    private static readonly string[] ClipProcessors = ["CLIPImageProcessor", "CLIPImageProcessorFast", "CLIPImageProcessorPil", "CLIPFeatureExtractor"];

    /// <summary>OpenCLIP's evaluation transform (<c>image_transform</c>). The size of its input is that of the model.</summary>
    public static PreprocessOptions FromOpenClip(JsonFields fields, VisionConfig vision, bool isResized = false)
    {
        var (height, width) = vision.ImageSize;
        if (!isResized && fields.Get("size") is not null && OpenClipSize(fields) != (height, width))
        {
            throw fields.Wrong("size", $"differs from the {height} x {width} pixels of the model, which OpenCLIP would use; correct or remove it");
        }

        _ = fields.Choice("mode", true, ("RGB", true));
        return Default(vision) with
        {
            Mean = Channels(fields, "mean", PreprocessOptions.OpenAiMean),
            StandardDeviation = Channels(fields, "std", PreprocessOptions.OpenAiStandardDeviation),
            // "random" is for training; OpenCLIP evaluates bicubic then.
            Interpolation = fields.Choice(
                "interpolation", Interpolation.Bicubic, ("bicubic", Interpolation.Bicubic), ("bilinear", Interpolation.Bilinear), ("random", Interpolation.Bicubic)),
            ResizeMode = fields.Choice(
                "resize_mode", ResizeMode.Shortest, ("shortest", ResizeMode.Shortest), ("longest", ResizeMode.Longest), ("squash", ResizeMode.Squash)),
            Fill = (byte)fields.Int("fill_color", 0, minimum: 0, maximum: byte.MaxValue),
        };
    }

    /// <summary>HuggingFace's <c>CLIPImageProcessor</c> on Pillow: resize, centre crop, scale, normalise.</summary>
    public static PreprocessOptions FromHuggingFace(JsonFields fields, VisionConfig vision, bool isResized = false)
    {
        foreach (var name in new[] { "image_processor_type", "feature_extractor_type" })
        {
            if (fields.Text(name) is { } type && !ClipProcessors.Contains(type))
            {
                throw fields.Wrong(name, $"is {type}, and only CLIPImageProcessor is supported; give its fields under that name if they mean the same");
            }
        }

        if (!fields.Bool("do_resize", true))
        {
            throw fields.Wrong("do_resize", "is false, and images of any size must be resized here; set it to true");
        }

        var (mode, resized) = HuggingFaceSize(fields, vision);
        var target = fields.Bool("do_center_crop", true) ? CropSize(fields, vision)
            : mode == ResizeMode.Squash ? resized
            : throw fields.Wrong("do_center_crop", "is false, and `size` keeps the shape of the image, so that inputs differ in shape; crop, or give `size` a height and a width");
        _ = fields.Get("crop_size");
        var options = Default(vision);
        if (isResized)
        {
            // The same border as the file's, at the size that was asked for instead.
            resized = (Scaled(resized.Height, options.Height, target.Height), Scaled(resized.Width, options.Width, target.Width));
        }
        else if (target != (options.Height, options.Width))
        {
            throw fields.Wrong(
                fields.Get("crop_size") is null ? "size" : "crop_size", $"gives {target.Height} x {target.Width} pixels, but the model takes {options.Height} x {options.Width}; correct one of them");
        }

        if (resized.Height < options.Height || resized.Width < options.Width)
        {
            throw fields.Wrong("size", $"is smaller than the {options.Height} x {options.Width} pixels that are cut out, which is not supported; make it as large");
        }

        var (mean, deviation) = Normalization(fields);
        var interpolation = fields.Int("resample", PillowBicubic, minimum: 0) switch
        {
            PillowBicubic => Interpolation.Bicubic,
            PillowBilinear => Interpolation.Bilinear,
            var other => throw fields.Wrong("resample", $"must be {PillowBicubic} (bicubic) or {PillowBilinear} (bilinear), not {other}"),
        };
        // Images are converted before anyway.
        fields.Get("do_convert_rgb");
        fields.RefuseUnread(
            "image_processor_type", "feature_extractor_type", "processor_class", "_", "data_format", "input_data_format", "return_tensors", "device",
            "auto_map", "default_to_square", "use_fast");
        return options with
        {
            Mean = mean,
            StandardDeviation = deviation,
            Interpolation = interpolation,
            ResizeMode = mode,
            ResizeTo = resized == (options.Height, options.Width) ? null : resized,
            CropRoundsDown = true,
        };
    }

    public static PreprocessOptions Default(VisionConfig vision) => new(vision.ImageSize.Height, vision.ImageSize.Width);

    private static (int Height, int Width)? OpenClipSize(JsonFields fields) => fields.Get("size") is not { ValueKind: JsonValueKind.Array }
        ? (fields.Int("size", 0), fields.Int("size", 0))
        : fields.Numbers("size") is { Length: 1 or 2 } sides ? ((int)sides[0], (int)sides[^1])
        : throw fields.Wrong("size", "must be one number or [height, width]");

    // One number is the shorter side here, and both sides of a crop.
    private static (ResizeMode Mode, (int Height, int Width) Size) HuggingFaceSize(JsonFields fields, VisionConfig vision)
    {
        if (fields.Get("size") is not { ValueKind: JsonValueKind.Object })
        {
            var side = fields.Int("size", Math.Min(vision.ImageSize.Height, vision.ImageSize.Width), maximum: ImagePreprocessor.MaximumSize);
            return (ResizeMode.Shortest, (side, side));
        }

        var size = fields.RequiredObject("size");
        var found = (size.Int("shortest_edge", 0, maximum: ImagePreprocessor.MaximumSize), size.Int("height", 0, maximum: ImagePreprocessor.MaximumSize), size.Int("width", 0, maximum: ImagePreprocessor.MaximumSize));
        size.RefuseUnread();
        return found switch
        {
            ( > 0 and var shortest, 0, 0) => (ResizeMode.Shortest, (shortest, shortest)),
            (0, > 0 and var height, > 0 and var width) => (ResizeMode.Squash, (height, width)),
            _ => throw fields.Wrong("size", "must be a number, or hold either `shortest_edge` or `height` and `width`"),
        };
    }

    private static (int Height, int Width) CropSize(JsonFields fields, VisionConfig vision)
    {
        if (fields.Get("crop_size") is not { } value)
        {
            return vision.ImageSize;
        }

        if (value.ValueKind != JsonValueKind.Object)
        {
            var side = fields.Int("crop_size", 0, maximum: ImagePreprocessor.MaximumSize);
            return (side, side);
        }

        var size = fields.RequiredObject("crop_size");
        var (height, width) = (size.Int("height", 0, maximum: ImagePreprocessor.MaximumSize), size.Int("width", 0, maximum: ImagePreprocessor.MaximumSize));
        size.RefuseUnread();
        return height > 0 && width > 0 ? (height, width) : throw fields.Wrong("crop_size", "must be a number, or hold `height` and `width`");
    }

    // Pixels become p * factor, then (p * factor - mean) / deviation. The kit divides by 255, so the rest of the factor goes into the two.
    private static (RgbValues Mean, RgbValues Deviation) Normalization(JsonFields fields)
    {
        var given = fields.Number("rescale_factor");
        var factor = fields.Bool("do_rescale", true) ? (given ?? 1.0 / MaxPixel) * MaxPixel : MaxPixel;
        if (factor <= 0)
        {
            throw fields.Wrong("rescale_factor", "must be above zero");
        }

        factor = Math.Abs(factor - 1) < FactorTolerance ? 1 : factor;
        var (mean, deviation) = (Channels(fields, "image_mean", PreprocessOptions.OpenAiMean), Channels(fields, "image_std", PreprocessOptions.OpenAiStandardDeviation));
        if (!fields.Bool("do_normalize", true))
        {
            (mean, deviation) = (RgbValues.All(0), RgbValues.All(1));
        }

        return factor == 1 ? (mean, deviation) : (Divided(mean), Divided(deviation));

        RgbValues Divided(RgbValues values) => new(values.Red / factor, values.Green / factor, values.Blue / factor);
    }

    private static int Scaled(int side, int wanted, int published) => (int)Math.Round((double)side * wanted / published);

    private static RgbValues Channels(JsonFields fields, string name, RgbValues fallback) => fields.Get(name) switch
    {
        null => fallback,
        { ValueKind: JsonValueKind.Number } => RgbValues.All(fields.Number(name) ?? 0),
        _ => fields.Numbers(name) is [var red, var green, var blue]
            ? new RgbValues(red, green, blue)
            : throw fields.Wrong(name, "must be one number or hold three, for red, green and blue"),
    };
}
