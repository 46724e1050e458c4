namespace RegCache.Lab.Evaluation;

/// <summary>Values of a patch grid as a picture: small ones near black, over purple, to yellow, as the field's usual colour maps.</summary>
internal static class HeatMapPixels
{
    /// <summary>Draws the values between their smallest and their largest.</summary>
    /// <param name="values">One value a patch, row-major.</param>
    /// <param name="columns">Columns of the grid.</param>
    /// <param name="width">Columns of the picture.</param>
    /// <param name="height">Rows of the picture.</param>
    /// <param name="logarithmic">Whether equal ratios, not equal differences, are equally far apart in colour.</param>
    /// <returns>Pixels [height,width,3].</returns>
    public static byte[] Draw(IReadOnlyList<float> values, int columns, int width, int height, bool logarithmic)
    {
        const float smallest = 1e-6f;
        double Scaled(float value) => logarithmic ? Math.Log(Math.Max(value, smallest)) : value;
        var (low, high, rows) = (Scaled(values.Min()), Scaled(values.Max()), values.Count / columns);
        var picture = new byte[width * height * 3];
        for (var pixel = 0; pixel < width * height; pixel++)
        {
            var (y, x) = Math.DivRem(pixel, width);
            var value = Scaled(values[(y * rows / height * columns) + (x * columns / width)]);
            var share = high > low ? (value - low) / (high - low) : 0;
            picture[pixel * 3] = (byte)(20 + (230 * share));
            picture[(pixel * 3) + 1] = (byte)(15 + (205 * share * share));
            picture[(pixel * 3) + 2] = (byte)(60 + (110 * Math.Sin(Math.PI * share)));
        }

        return picture;
    }
}
