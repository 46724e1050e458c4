using RegCache.Lab.Data.Shapes;

namespace RegCache.Lab.Training.Clip;

/// <summary>Patch dropout (clip.md, section 3): each image keeps the class token and a random choice of its patches.</summary>
internal static class PatchDropout
{
    /// <summary>Draws the tokens that stay, <c>max(1, floor(n (1 - p)))</c> patches of n, in random order.</summary>
    /// <param name="images">Number of images.</param>
    /// <param name="patches">Patches of an image.</param>
    /// <param name="probability">Share that is dropped.</param>
    /// <param name="random">The stream; image i uses its fork i.</param>
    /// <returns>Token indices with the class token 0 in front [B,1+M], int64; null when nothing is dropped.</returns>
    public static Tensor? Draw(int images, int patches, double probability, CounterRandom random)
    {
        if (probability <= 0)
        {
            return null;
        }

        var count = Math.Max(1, (int)(patches * (1 - probability)));
        var kept = new long[images * (1 + count)];
        for (var image = 0; image < images; image++)
        {
            var order = random.Fork(image).NextPermutation(patches);
            for (var position = 0; position < count; position++)
            {
                kept[(image * (1 + count)) + 1 + position] = 1 + order[position];
            }
        }

        return torch.tensor(kept, [images, 1 + count]);
    }
}
