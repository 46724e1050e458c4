namespace RegCache.Lab.Quantization.Ptq4Vit;

/// <summary>How the two ranges of the softmax quantizer are combined (quantizers.md, section 2.7).</summary>
public enum SoftmaxTwin
{
    /// <summary>As in the released code: the sum of both ranges, so values above the split come out larger by about the split.</summary>
    Released,

    /// <summary>As in the paper: values below the split take the fine range, the others the coarse one.</summary>
    Paper,
}
