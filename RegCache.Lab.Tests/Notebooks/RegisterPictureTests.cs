using RegCache.Lab.Data.Images;
using RegCache.Lab.Evaluation;
using RegCache.Lab.Notebooks.Pictures;
using SixLabors.ImageSharp;
using SixLabors.ImageSharp.PixelFormats;

namespace RegCache.Lab.Tests.Notebooks;

public sealed class RegisterPictureTests
{
    private const int Side = 16;
    private const int Scale = 2;
    private const int Gap = 4;
    private static readonly Rgb24 _outline = new(230, 30, 120);

    [Fact]
    public void OutliersAreOutlinedAboveTheMapOfNorms()
    {
        // Two grey images of 4 x 4 patches; in the first the patch of row 1, column 2 is an outlier.
        var preprocess = new PreprocessOptions(Side, Side) { Mean = RgbValues.All(0), StandardDeviation = RgbValues.All(1) };
        using var images = torch.full([2, 3, Side, Side], 0.5f);
        float[] even = [.. Enumerable.Repeat(1f, 16)], uneven = [.. even];
        uneven[(1 * 4) + 2] = 100;
        uneven[0] = 0.1f;
        using var picture = RegisterPicture.Draw(images, preprocess, new(4, [uneven, even]), Scale);
        Assert.Equal(((2 * Side * Scale) + Gap, (2 * Side * Scale) + Gap), (picture.Width, picture.Height));

        // A patch is 8 x 8 pixels of the picture; its outline is two pixels wide.
        var (left, top, patch) = (2 * 8, 1 * 8, 8);
        var grey = new Rgb24(128, 128, 128);
        for (var y = 0; y < Side * Scale; y++)
        {
            for (var x = 0; x < Side * Scale; x++)
            {
                var isInside = x >= left && x < left + patch && y >= top && y < top + patch;
                var isMiddle = x >= left + 2 && x < left + patch - 2 && y >= top + 2 && y < top + patch - 2;
                Assert.Equal(isInside && !isMiddle ? _outline : grey, picture[x, y]);
                Assert.Equal(grey, picture[x + (Side * Scale) + Gap, y]);
            }
        }

        // Below are the maps: the largest norm is the brightest, the smallest the darkest, equal ones are all alike.
        Rgb24 Map(int image, int row, int column) =>
            picture[(image * ((Side * Scale) + Gap)) + (column * patch) + 4, (Side * Scale) + Gap + (row * patch) + 4];
        Assert.Equal(new Rgb24(250, 220, 60), Map(0, 1, 2));
        Assert.Equal(new Rgb24(20, 15, 60), Map(0, 0, 0));
        Assert.Equal(Map(0, 2, 2), Map(0, 3, 0));
        Assert.InRange(Map(0, 2, 2).R, 21, 249);
        Assert.Equal(Map(1, 0, 0), Map(1, 1, 2));
    }
}
