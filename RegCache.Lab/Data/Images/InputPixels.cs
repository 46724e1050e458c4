namespace RegCache.Lab.Data.Images;

/// <summary>A model's input turned back into pictures.</summary>
public static class InputPixels
{
    /// <summary>Undoes the normalisation.</summary>
    /// <param name="images">Normalised images [B,3,H,W].</param>
    /// <param name="preprocess">How they were normalised.</param>
    /// <returns>For each image its pixels [H,W,3].</returns>
    public static IReadOnlyList<byte[]> Of(Tensor images, PreprocessOptions preprocess)
    {
        static Tensor Channels(RgbValues values) => torch.tensor(new[] { values.Red, values.Green, values.Blue }).view(3, 1, 1);
        using var scope = torch.NewDisposeScope();
        var bytes = ((images.cpu() * Channels(preprocess.StandardDeviation)) + Channels(preprocess.Mean)).mul(255).round().clamp(0, 255)
            .to(torch.ScalarType.Byte).permute(0, 2, 3, 1).contiguous();
        return [.. Enumerable.Range(0, (int)bytes.shape[0]).Select(image => bytes[image].data<byte>().ToArray())];
    }
}
