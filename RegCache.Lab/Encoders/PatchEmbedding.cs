namespace RegCache.Lab.Encoders;

/// <summary>The convolution that cuts an image into patches and projects each.</summary>
/// <param name="Weight">`conv1.weight` [C,3,p,p]; kernel and stride are the patch size p.</param>
/// <param name="Bias">Bias [C]; null in CLIP.</param>
public sealed record PatchEmbedding(Tensor Weight, Tensor? Bias = null)
{
    /// <summary>Applied to the images before the convolution, for example a fake quantizer; null passes them on.</summary>
    public Func<Tensor, Tensor>? Input { get; init; }

    /// <summary>Embeds images [B,3,H,W] as patches [B,C,H/p,W/p].</summary>
    public Tensor Apply(Tensor images)
    {
        long[] stride = [Weight.shape[2], Weight.shape[3]];
        return torch.nn.functional.conv2d(Input?.Invoke(images) ?? images, Weight, Bias, stride);
    }
}
