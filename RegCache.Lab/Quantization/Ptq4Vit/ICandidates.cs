namespace RegCache.Lab.Quantization.Ptq4Vit;

/// <summary>The quantizers among which a search chooses.</summary>
internal interface ICandidates
{
    int Count { get; }

    ITensorQuantizer this[int index] { get; }

    /// <summary>Fake-quantizes the same values by some of the candidates, [I,..] to [I,K,..].</summary>
    Tensor Expand(Tensor values, int[] chosen);
}
