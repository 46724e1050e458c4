using RegCache.Lab.Evaluation;

namespace RegCache.Lab.Quantization.Ptq4Vit;

/// <summary>The loss of the calibration images, mean over a mini-batch (quantizers.md, section 2.2).</summary>
/// <param name="classifier">Turns features into class scores.</param>
/// <param name="options">Which loss, at which temperature.</param>
internal sealed class LogitLoss(ZeroShotClassifier classifier, Ptq4VitOptions options)
{
    /// <summary>The loss of features [B,E] that are not normalised.</summary>
    public Tensor Of(Tensor features)
    {
        var logits = classifier.Logits(ZeroShotClassifier.Normalize(features)) / options.Temperature;
        if (options.Loss == HessianLoss.PseudoLabel)
        {
            return torch.nn.functional.cross_entropy(logits, logits.detach().argmax(-1));
        }

        var (own, current) = (logits.detach().log_softmax(-1), logits.log_softmax(-1));
        return (own.exp() * (own - current)).sum() / logits.shape[0];
    }
}
