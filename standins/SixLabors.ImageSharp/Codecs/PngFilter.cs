namespace SixLabors.ImageSharp.Codecs;

/// <summary>What PNG's row filters predict a byte to be.</summary>
internal static class PngFilter
{
    public const byte Highest = 4;

    public static byte Predict(byte filter, int left, int above, int corner) => filter switch
    {
        0 => 0,
        1 => (byte)left,
        2 => (byte)above,
        3 => (byte)((left + above) / 2),
        _ => (byte)Paeth(left, above, corner),
    };

    private static int Paeth(int left, int above, int corner)
    {
        var estimate = left + above - corner;
        int toLeft = Math.Abs(estimate - left), toAbove = Math.Abs(estimate - above), toCorner = Math.Abs(estimate - corner);
        return toLeft <= toAbove && toLeft <= toCorner ? left : toAbove <= toCorner ? above : corner;
    }
}
