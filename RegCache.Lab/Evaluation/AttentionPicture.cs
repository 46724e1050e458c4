using RegCache.Lab.Data.Images;
using RegCache.Lab.Reports;
using SixLabors.ImageSharp;
using SixLabors.ImageSharp.PixelFormats;

namespace RegCache.Lab.Evaluation;

/// <summary>Where attention goes: images in one row, below them a row of maps for each block.</summary>
public static class AttentionPicture
{
    /// <summary>Draws the maps, dark for little attention, each between its own least and most.</summary>
    /// <param name="images">Normalised images [B,3,H,W].</param>
    /// <param name="preprocess">How they were normalised.</param>
    /// <param name="maps">Maps of these images.</param>
    /// <param name="scale">Pixels of the picture for one of an image.</param>
    public static Image<Rgb24> Draw(Tensor images, PreprocessOptions preprocess, IReadOnlyList<AttentionMaps> maps, int scale = 2)
    {
        var (width, height) = (preprocess.Width * scale, preprocess.Height * scale);
        return PictureGrid.Compose(
            [
                [.. InputPixels.Of(images, preprocess).Select(image => PictureGrid.Enlarge(image, preprocess.Width, scale))],
                .. maps.Select(block => (IReadOnlyList<byte[]>)
                    [.. block.Maps.Select(map => HeatMapPixels.Draw(map, block.Columns, width, height, logarithmic: false))]),
            ],
            width);
    }
}
