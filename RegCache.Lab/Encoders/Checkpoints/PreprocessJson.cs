using System.Text.Json;
using RegCache.Lab.Data.Images;

namespace RegCache.Lab.Encoders.Checkpoints;

/// <summary>
/// How a model's images are prepared, from the <c>preprocess_cfg</c> of OpenCLIP's <c>open_clip_config.json</c> or from
/// HuggingFace's <c>preprocessor_config.json</c>. What a file does not say is OpenAI's way; what it says is obeyed or refused by name.
/// </summary>
internal static class PreprocessJson
{
    // Pillow's numbers of its filters, which HuggingFace writes.
    private const int PillowBilinear = 2;
    private const int PillowBicubic = 3;

    private const double BytesDivisor = 255;

    // Fields that say who wrote the file, or in which form arrays are handed out: they change no pixel.
    private static readonly string[] _harmless =
    [
        "processor_class", "_processor_class", "_valid_processor_keys", "auto_map", "use_fast", "data_format", "input_data_format", "device",
        "return_tensors", "default_to_square", "disable_grouping",
        // Every data set hands out RGB.
        "do_convert_rgb",
    ];

    /// <summary>OpenCLIP's transform for evaluation.</summary>
    /// <param name="fields">The fields of <c>preprocess_cfg</c>.</param>
    /// <param name="vision">The tower that the images are for.</param>
    /// <param name="isResized">Whether the tower was given another image size than the file is for.</param>
    public static PreprocessOptions FromOpenClip(JsonFields fields, VisionConfig vision, bool isResized = false)
    {
        RequireSize(fields, "size", Size(fields, "size", isSquare: true)?.Size, vision, isResized);
        var options = Default(vision) with
        {
            Mean = Channels(fields, "mean", PreprocessOptions.OpenAiMean),
            StandardDeviation = Channels(fields, "std", PreprocessOptions.OpenAiStandardDeviation),
            // The random choice between the two is for training.
            Interpolation = fields.Choice(
                "interpolation",
                Interpolation.Bicubic,
                ("bicubic", Interpolation.Bicubic),
                ("bilinear", Interpolation.Bilinear),
                ("random", Interpolation.Bicubic)),
            ResizeMode = fields.Choice(
                "resize_mode", ResizeMode.Shortest, ("shortest", ResizeMode.Shortest), ("longest", ResizeMode.Longest), ("squash", ResizeMode.Squash)),
            Fill = (byte)fields.Int("fill_color", 0, minimum: 0, maximum: byte.MaxValue),
        };
        fields.Choice("mode", true, ("RGB", true));
        fields.RefuseUnread();
        return options;
    }

    /// <summary>As transformers' CLIPImageProcessor and ViTImageProcessor, which work with Pillow, prepare images.</summary>
    public static PreprocessOptions FromHuggingFace(JsonFields fields, VisionConfig vision, bool isResized = false)
    {
        var isVit = IsVit(fields);
        var normalizes = fields.Bool("do_normalize", true);
        var (mean, deviation) = isVit
            ? (RgbValues.All(0.5), RgbValues.All(0.5))
            : (PreprocessOptions.OpenAiMean, PreprocessOptions.OpenAiStandardDeviation);
        var (givenMean, givenDeviation) = (Channels(fields, "image_mean", mean), Channels(fields, "image_std", deviation));
        var interpolation = fields.Int("resample", isVit ? PillowBilinear : PillowBicubic, minimum: 0) switch
        {
            PillowBicubic => Interpolation.Bicubic,
            PillowBilinear => Interpolation.Bilinear,
            var other => throw fields.Wrong("resample", $"must be {PillowBicubic} (bicubic) or {PillowBilinear} (bilinear), not {other}"),
        };
        var options = Fit(fields, vision, isVit, isResized) with
        {
            Mean = normalizes ? givenMean : RgbValues.All(0),
            StandardDeviation = normalizes ? givenDeviation : RgbValues.All(1),
            Interpolation = interpolation,
            Divisor = Divisor(fields),
            CropRounding = CropRounding.Down,
        };
        Array.ForEach(_harmless, name => fields.Get(name));
        fields.RefuseUnread();
        return options;
    }

    public static PreprocessOptions Default(VisionConfig vision) => new(vision.ImageSize.Height, vision.ImageSize.Width);

    private static bool IsVit(JsonFields fields)
    {
        const string current = "image_processor_type", old = "feature_extractor_type";
        var (name, field) = fields.Text(current) is { } type ? (type, current) : (fields.Text(old) ?? "CLIPImageProcessor", old);
        _ = fields.Get(old);
        return name switch
        {
            "CLIPImageProcessor" or "CLIPImageProcessorFast" or "CLIPImageProcessorPil" or "CLIPFeatureExtractor" => false,
            "ViTImageProcessor" or "ViTImageProcessorFast" or "ViTImageProcessorPil" or "ViTFeatureExtractor" => true,
            _ => throw fields.Wrong(field, $"is {name}, which is not supported; the kit prepares images like CLIPImageProcessor and ViTImageProcessor"),
        };
    }

    // Which size the image gets, and what is cut out of it.
    private static PreprocessOptions Fit(JsonFields fields, VisionConfig vision, bool isVit, bool isResized)
    {
        var (resizes, crops) = (fields.Bool("do_resize", true), fields.Bool("do_center_crop", !isVit));
        var size = Size(fields, "size", isSquare: isVit || fields.Bool("use_square_size", false), takesEdge: !isVit);
        var crop = Size(fields, "crop_size", isSquare: true)?.Size;
        var input = Default(vision);
        if (crops)
        {
            RequireSize(fields, "crop_size", crop, vision, isResized);
        }

        if (!resizes)
        {
            return crops
                ? input with { ResizeMode = ResizeMode.None }
                : throw fields.Wrong("do_resize", "is false, and so is `do_center_crop`, which leaves images of any size, but the model takes one size");
        }

        var (target, isShape) = size ?? (vision.ImageSize, isVit);
        if (!crops)
        {
            if (!isShape)
            {
                throw fields.Wrong(
                    "do_center_crop", "is false, which leaves images of any shape because `size` is that of one edge; give height and width, or crop");
            }

            RequireSize(fields, "size", target, vision, isResized);
        }

        if (isResized)
        {
            // The same border as the file's, at the size that was asked for instead.
            var (height, width) = crops ? crop ?? target : target;
            target = (Scaled(target.Height, input.Height, height), Scaled(target.Width, input.Width, width));
        }

        return input with { ResizeMode = isShape ? ResizeMode.Squash : ResizeMode.Shortest, ResizeTo = target == vision.ImageSize ? null : target };
    }

    private static int Scaled(int side, int to, int from) => (int)Math.Round((double)side * to / from, MidpointRounding.ToEven);

    private static double Divisor(JsonFields fields)
    {
        var factor = fields.Number("rescale_factor") ?? 1 / BytesDivisor;
        if (!fields.Bool("do_rescale", true))
        {
            return 1;
        }

        return factor <= 0 ? throw fields.Wrong("rescale_factor", $"is {factor}, but must be above 0")
            : Math.Abs((factor * BytesDivisor) - 1) < 1e-12 ? BytesDivisor
            : 1 / factor;
    }

    // A number, [height, width], or an object. Not a shape: the length of the shorter edge.
    private static ((int Height, int Width) Size, bool IsShape)? Size(JsonFields fields, string name, bool isSquare, bool takesEdge = true)
    {
        switch (fields.Get(name))
        {
            case null:
                return null;
            case { ValueKind: JsonValueKind.Object }:
                var edges = fields.Object(name)!;
                ((int Height, int Width) Size, bool IsShape) result;
                if (takesEdge && edges.Get("shortest_edge") is not null)
                {
                    var edge = edges.Int("shortest_edge", 0);
                    result = ((edge, edge), isSquare);
                }
                else
                {
                    int Side(string side) => edges.Get(side) is null ? throw edges.Wrong(side, "is missing") : edges.Int(side, 0);
                    // Longest edges and others are refused by their own name first.
                    (_, _) = (edges.Get("height"), edges.Get("width"));
                    edges.RefuseUnread();
                    result = ((Side("height"), Side("width")), true);
                }

                edges.RefuseUnread();
                return result;
            case { ValueKind: JsonValueKind.Array }:
                return fields.Numbers(name) is [>= 1 and <= 1 << 20 and var height, >= 1 and <= 1 << 20 and var width]
                    ? (((int)height, (int)width), true)
                    : throw fields.Wrong(name, "must be a number, [height, width], or an object with height and width or shortest_edge");
            default:
                var side = fields.Int(name, 0);
                return ((side, side), isSquare);
        }
    }

    private static void RequireSize(JsonFields fields, string name, (int Height, int Width)? size, VisionConfig vision, bool isResized)
    {
        if (!isResized && size is var (height, width) && (height, width) != vision.ImageSize)
        {
            throw fields.Wrong(
                name, $"makes images of {height} x {width} pixels, but the model takes {vision.ImageSize.Height} x {vision.ImageSize.Width}; correct it");
        }
    }

    private static RgbValues Channels(JsonFields fields, string name, RgbValues fallback) => fields.Get(name) switch
    {
        null => fallback,
        { ValueKind: JsonValueKind.Number } => RgbValues.All(fields.Number(name)!.Value),
        _ => fields.Numbers(name) is [var red, var green, var blue]
            ? new RgbValues(red, green, blue)
            : throw fields.Wrong(name, "must hold three numbers, for red, green and blue"),
    };
}
