namespace RegCache.Lab.Notebooks.Pictures;

/// <summary>
/// Pictures of merged tokens as in the paper on ToMe (Bolya et al. 2023): every group of patches in its mean colour, outlined
/// in a colour of its own.
/// </summary>
public static class MergePicture
{
    /// <summary>The group of every patch: the output token that owns it.</summary>
    /// <param name="sources">Which input tokens each output token of one image is made of [M,N0], 0/1.</param>
    /// <param name="specialTokens">Leading input tokens that are no patches.</param>
    /// <returns>A group for each patch, row-major; a dropped patch has -1.</returns>
    public static int[] Groups(Tensor sources, int specialTokens)
    {
        using var scope = torch.NewDisposeScope();
        var patches = sources.narrow(1, specialTokens, sources.shape[1] - specialTokens);
        var (owned, owner) = patches.max(0);
        var groups = torch.where(owned.gt(0), owner, owner.full_like(-1)).cpu().data<long>().ToArray();
        return [.. groups.Select(group => (int)group)];
    }

    /// <summary>Colours for the outlines: hues spread by the golden ratio from a seeded start.</summary>
    /// <param name="groups">Number of colours.</param>
    /// <param name="seed">Turns the circle of hues.</param>
    /// <returns>Red, green and blue in 0..1.</returns>
    public static IReadOnlyList<(double Red, double Green, double Blue)> EdgeColors(int groups, int seed = 0)
    {
        const double goldenRatio = 0.61803398874989485;
        static double Channel(double hue, double offset) =>
            0.55 + (0.4 * Math.Cos(2 * Math.PI * (hue + offset)));
        return [.. Enumerable.Range(seed + 1, groups).Select(index => index * goldenRatio % 1)
            .Select(hue => (Channel(hue, 0), Channel(hue, 1.0 / 3), Channel(hue, 2.0 / 3)))];
    }

    /// <summary>Paints an image's groups.</summary>
    /// <param name="rgb">Pixels [height,width,3].</param>
    /// <param name="width">Columns of the image; they and the rows are a multiple of the grid's.</param>
    /// <param name="groups">The group of every patch, row-major; -1 stays black.</param>
    /// <param name="columns">Columns of the patch grid.</param>
    /// <param name="edges">A colour for each group, in 0..1.</param>
    /// <returns>Pixels of the same shape; values are truncated to bytes.</returns>
    /// <exception cref="ArgumentException">The pixels are not a whole number of patches.</exception>
    public static byte[] Draw(
        ReadOnlySpan<byte> rgb, int width, IReadOnlyList<int> groups, int columns, IReadOnlyList<(double Red, double Green, double Blue)> edges)
    {
        var height = rgb.Length / 3 / width;
        var rows = groups.Count / columns;
        if (rgb.Length != height * width * 3 || height % rows != 0 || width % columns != 0)
        {
            throw new ArgumentException($"{rgb.Length} bytes in rows of {width} pixels are no {rows} x {columns} patches.", nameof(rgb));
        }

        var owners = new int[height * width];
        for (var pixel = 0; pixel < owners.Length; pixel++)
        {
            var (y, x) = Math.DivRem(pixel, width);
            owners[pixel] = groups[(y / (height / rows) * columns) + (x / (width / columns))];
        }

        var means = Means(rgb, owners, groups.Max() + 1);
        var picture = new byte[rgb.Length];
        for (var pixel = 0; pixel < owners.Length; pixel++)
        {
            if (owners[pixel] is var owner and >= 0)
            {
                var (red, green, blue) = IsInterior(owners, pixel, width, height) ? means[owner] : edges[owner];
                picture[pixel * 3] = (byte)(red * 255);
                picture[(pixel * 3) + 1] = (byte)(green * 255);
                picture[(pixel * 3) + 2] = (byte)(blue * 255);
            }
        }

        return picture;
    }

    private static (double Red, double Green, double Blue)[] Means(ReadOnlySpan<byte> rgb, int[] owners, int groups)
    {
        var sums = new (long Red, long Green, long Blue, long Count)[groups];
        for (var pixel = 0; pixel < owners.Length; pixel++)
        {
            if (owners[pixel] is var owner and >= 0)
            {
                ref var sum = ref sums[owner];
                sum = (sum.Red + rgb[pixel * 3], sum.Green + rgb[(pixel * 3) + 1], sum.Blue + rgb[(pixel * 3) + 2], sum.Count + 1);
            }
        }

        return [.. sums.Select(sum =>
        {
            var scale = 255.0 * Math.Max(1, sum.Count);
            return (sum.Red / scale, sum.Green / scale, sum.Blue / scale);
        })];
    }

    // The four neighbours belong to the same group, and none is beyond the image.
    private static bool IsInterior(int[] owners, int pixel, int width, int height)
    {
        var (y, x) = Math.DivRem(pixel, width);
        return y > 0 && x > 0 && y < height - 1 && x < width - 1
            && owners[pixel - 1] == owners[pixel] && owners[pixel + 1] == owners[pixel]
            && owners[pixel - width] == owners[pixel] && owners[pixel + width] == owners[pixel];
    }
}
