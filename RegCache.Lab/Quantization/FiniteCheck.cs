namespace RegCache.Lab.Quantization;

/// <summary>Refuses to take ranges from NaN or infinite values.</summary>
internal static class FiniteCheck
{
    /// <summary>Checks an activation by its range, which is NaN or infinite as soon as one value is.</summary>
    /// <param name="range">Scale, minimum or maximum of the values.</param>
    /// <param name="values">The activation; its first axis is the image.</param>
    /// <param name="name">The layer whose input it is.</param>
    /// <param name="firstImage">Index of the first image in the set.</param>
    /// <exception cref="UserException">The range is not finite; the message names the layer and the image.</exception>
    public static void Require(Tensor range, Tensor values, string name, int firstImage = 0)
    {
        using var scope = torch.NewDisposeScope();
        if (range.isfinite().all().item<bool>())
        {
            return;
        }

        var damaged = values.isfinite().logical_not().flatten(1).any(1).to(torch.ScalarType.Int32).argmax().item<long>();
        throw Refusal(name, firstImage + damaged);
    }

    /// <summary>What is said of an activation that is not finite.</summary>
    /// <param name="name">The layer whose input it is.</param>
    /// <param name="image">Index of the image.</param>
    public static UserException Refusal(string name, long image) => new(
        $"The input of {name} holds NaN or infinite values in image {image} of the batch, so it has no range; check that image and the weights before this layer.");
}
