using System.CommandLine;
using RegCache.Lab.Data.Images;

namespace RegCache.Lab.Cli.Options;

/// <summary>Which image files are taken that others would refuse: the options of every command that reads images.</summary>
internal sealed class DecodingOption
{
    private readonly Option<long> _maxPixels = OptionOf.Number(
        "--max-pixels",
        "Refuse images of more pixels (columns x rows) before memory is taken for them.",
        DecodingOptions.Default.MaxPixels,
        1,
        DecodingOptions.MostMaxPixels);

    private readonly Option<bool> _truncatedImages = new("--truncated-images")
    {
        Description = "Use JPEG files that end early as far as they go, like Pillow's LOAD_TRUNCATED_IMAGES, instead of refusing them.",
    };

    /// <summary>The options themselves.</summary>
    public IEnumerable<Option> All => [_maxPixels, _truncatedImages];

    /// <summary>What they say.</summary>
    public DecodingOptions Read(ParseResult arguments) =>
        new() { MaxPixels = arguments.GetValue(_maxPixels), TruncatedImages = arguments.GetValue(_truncatedImages) };
}
