namespace RegCache.Lab.Encoders.Checkpoints;

/// <summary>MLP ratios that give back the number of hidden channels they were made from.</summary>
internal static class MlpRatios
{
    /// <summary>The ratio r with floor(width * r) = hidden.</summary>
    public static double Of(int hidden, int width)
    {
        var ratio = hidden / (double)width;
        return (int)(width * ratio) == hidden ? ratio : Math.BitIncrement(ratio);
    }
}
