namespace RegCache.Lab.Quantization.Ptq4Vit;

/// <summary>The choices of a PTQ4ViT calibration that change its result; the defaults are those of quantizers.md, section 2.1.</summary>
/// <param name="Bits">Bit-widths of weights and of every activation.</param>
public sealed record Ptq4VitOptions(QuantizationBits Bits)
{
    /// <summary>How candidate outputs are compared with the float output.</summary>
    public OutputMetric Metric { get; init; } = OutputMetric.Hessian;

    /// <summary>The candidate scales.</summary>
    public SearchRange Range { get; init; } = new(0.01, 1.2, 100);

    /// <summary>How often weights and activations are searched in turn.</summary>
    public int Rounds { get; init; } = 3;

    /// <summary>Whether the input of `mlp.c_proj` has separate ranges for positive and negative values.</summary>
    public bool PostGeluTwin { get; init; } = true;

    /// <summary>The form of the two ranges of the softmax output; null quantizes it uniformly, one scale a head.</summary>
    public SoftmaxTwin? SoftmaxTwin { get; init; } = Ptq4Vit.SoftmaxTwin.Released;

    /// <summary>Whether each output channel of the patch embedding has its own scale.</summary>
    public bool PatchesPerChannel { get; init; } = true;

    /// <summary>The loss whose gradient the Hessian metric uses.</summary>
    public HessianLoss Loss { get; init; } = HessianLoss.PseudoLabel;

    /// <summary>
    /// The logits are divided by this before the loss: CLIP's scale of 100 saturates, and saturated predictions have no
    /// gradient.
    /// </summary>
    public double Temperature { get; init; } = 5;

    /// <summary>Images in a backward pass; the loss is their mean.</summary>
    public int BackwardBatch { get; init; } = 4;

    /// <summary>BasePTQ: the same search with the cosine metric, one round, and none of the twin ranges.</summary>
    public static Ptq4VitOptions BasePtq(QuantizationBits bits) => new(bits)
    {
        Metric = OutputMetric.Cosine,
        Range = new(0.5, 1.2, 100),
        Rounds = 1,
        PostGeluTwin = false,
        SoftmaxTwin = null,
        PatchesPerChannel = false,
    };

    /// <summary>Refuses settings that cannot be run.</summary>
    /// <exception cref="UserException">A number is out of range; the message names its option.</exception>
    public void Validate()
    {
        Require(Rounds >= 1, $"--search-rounds {Rounds}: search at least once.");
        Require(Range.Count >= 1, $"--search-candidates {Range.Count}: try at least one scale.");
        Require(
            Range.Lowest > 0 && Range.Highest >= Range.Lowest && double.IsFinite(Range.Highest),
            $"--search-range {Range.Lowest},{Range.Highest}: give two positive factors, the smaller one first.");
        Require(Temperature > 0 && double.IsFinite(Temperature), $"--hessian-temperature {Temperature}: give a positive number.");
        Require(BackwardBatch >= 1, $"--backward-batch {BackwardBatch}: give at least one image.");
        Require(
            !PatchesPerChannel || Metric == OutputMetric.Hessian,
            "One scale for each channel of the patch embedding needs the Hessian metric: the cosine compares all channels at once.");
    }

    private static void Require(bool condition, string message)
    {
        if (!condition)
        {
            throw new UserException(message);
        }
    }
}
