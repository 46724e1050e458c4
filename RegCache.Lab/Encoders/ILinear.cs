namespace RegCache.Lab.Encoders;

/// <summary>Seam 4: one linear layer, run in float, simulated-quantized or in integers.</summary>
public interface ILinear
{
    /// <summary>The weight matrix [out,in] that the layer applies, as a float tensor.</summary>
    Tensor Weight { get; }

    /// <summary>The bias [out]; null when the layer has none.</summary>
    Tensor? Bias { get; }

    /// <summary>Whether each output row depends on its own input row alone, so that unused rows may be left out.</summary>
    bool IsRowwise { get; }

    /// <summary>Computes <c>x W^T + b</c>, [..,in] to [..,out].</summary>
    Tensor Apply(Tensor input);
}
