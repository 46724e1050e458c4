namespace RegCache.Lab.Encoders;

/// <summary>Builds the layers of a tower from its named tensors.</summary>
internal static class TowerWeights
{
    public static LayerNorm LayerNorm(WeightTable weights, string name, int width, double epsilon) =>
        new(weights.Take($"{name}.weight", width), weights.Take($"{name}.bias", width), epsilon);

    public static BlockLayers Block(
        WeightTable weights, string name, int width, int mlpWidth, int heads, double epsilon, Activation activation)
    {
        Linear Linear(string layer, string separator, int output, int input) => new(
            weights.Take($"{name}.{layer}{separator}weight", output, input),
            weights.Take($"{name}.{layer}{separator}bias", output));

        return new(
            heads,
            LayerNorm(weights, $"{name}.ln_1", width, epsilon),
            Linear("attn.in_proj", "_", 3 * width, width),
            Attention.Float,
            Linear("attn.out_proj", ".", width, width),
            LayerNorm(weights, $"{name}.ln_2", width, epsilon),
            new FeedForward(
                Linear("mlp.c_fc", ".", mlpWidth, width), activation, Linear("mlp.c_proj", ".", width, mlpWidth)))
        {
            LayerScale1 = weights.TakeIfPresent($"{name}.ls_1.gamma", width),
            LayerScale2 = weights.TakeIfPresent($"{name}.ls_2.gamma", width),
        };
    }
}
