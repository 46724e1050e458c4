namespace RegCache.Lab.Encoders;

/// <summary>A CLIP model: a vision tower, and a text tower where the checkpoint has one.</summary>
public sealed class ClipModel : IDisposable
{
    /// <summary>Builds the towers on named tensors (OpenCLIP names) and takes ownership of them.</summary>
    /// <param name="config">The architecture.</param>
    /// <param name="weights">The named tensors.</param>
    /// <param name="backend">How blocks run where no gradients are wanted; null runs the tensor operators. The weights must then stay as they are.</param>
    /// <exception cref="UserException">A tensor is missing, has a wrong shape or is not finite.</exception>
    public ClipModel(ClipConfig config, WeightTable weights, IBackend? backend = null)
    {
        Config = config;
        Weights = weights;
        Vision = new(config, weights, backend);
        Text = config.Text is null ? null : new(config, weights, backend);
    }

    /// <summary>The architecture.</summary>
    public ClipConfig Config { get; }

    /// <summary>The named tensors, in checkpoint order.</summary>
    public WeightTable Weights { get; }

    /// <summary>The vision tower.</summary>
    public VisionTower Vision { get; }

    /// <summary>The text tower; null in a vision-only checkpoint.</summary>
    public TextTower? Text { get; }

    /// <summary>Logarithm of the learned logit scale, [] or [1]; null when the checkpoint has none.</summary>
    public Tensor? LogitScale => Weights.Contains("logit_scale") ? Weights["logit_scale"] : null;

    /// <summary>
    /// Scaled similarities of image features [B,E] and text features [T,E], both normalised:
    /// <c>exp(logit_scale) I T^T (+ logit_bias)</c> [B,T].
    /// </summary>
    public Tensor Logits(Tensor images, Tensor texts)
    {
        using var scope = torch.NewDisposeScope();
        var scale = LogitScale?.exp() ?? torch.tensor((float)Math.Exp(Config.InitLogitScale));
        var logits = images.matmul(texts.t()) * scale;
        return (Weights.Contains("logit_bias") ? logits + Weights["logit_bias"] : logits).MoveToOuterDisposeScope();
    }

    /// <inheritdoc />
    public void Dispose()
    {
        Vision.Running.Dispose();
        Text?.Running.Dispose();
        Weights.Dispose();
    }
}
