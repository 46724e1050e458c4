namespace RegCache.Lab.Encoders;

/// <summary>The convolution that cuts an image into patches and projects each.</summary>
/// <param name="Weight">`conv1.weight` [C,3,p,p]; kernel and stride are the patch size p.</param>
/// <param name="Bias">Bias [C]; null in CLIP.</param>
public sealed record PatchEmbedding(Tensor Weight, Tensor? Bias = null)
{
    /// <summary>Applied to the images before the convolution, for example a fake quantizer; null passes them on.</summary>
    public Func<Tensor, Tensor>? Input { get; init; }

    /// <summary>The same as a linear layer on patches that are cut out first; null convolves.</summary>
    public ILinear? Product { get; init; }

    /// <summary>Embeds images [B,3,H,W] as patches [B,C,H/p,W/p].</summary>
    public Tensor Apply(Tensor images)
    {
        var input = Input?.Invoke(images) ?? images;
        if (Product is not null)
        {
            return Multiply(input, Product);
        }

        long[] stride = [Weight.shape[2], Weight.shape[3]];
        return torch.nn.functional.conv2d(input, Weight, Bias, stride);
    }

    private Tensor Multiply(Tensor images, ILinear product)
    {
        using var scope = torch.NewDisposeScope();
        var (count, channels, height, width) = (images.shape[0], images.shape[1], Weight.shape[2], Weight.shape[3]);
        var (rows, columns) = (images.shape[2] / height, images.shape[3] / width);
        var patches = images.narrow(2, 0, rows * height).narrow(3, 0, columns * width)
            .reshape(count, channels, rows, height, columns, width)
            .permute(0, 2, 4, 1, 3, 5)
            .reshape(count, rows * columns, -1);
        return product.Apply(patches).transpose(1, 2).view(count, -1, rows, columns).MoveToOuterDisposeScope();
    }
}
