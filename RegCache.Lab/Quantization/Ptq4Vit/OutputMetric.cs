namespace RegCache.Lab.Quantization.Ptq4Vit;

/// <summary>How far a candidate's output O' is from the float output O (quantizers.md, section 2.3).</summary>
public enum OutputMetric
{
    /// <summary>Squared difference weighted by the squared gradient of the loss, <c>mean((G (O - O'))^2)</c>.</summary>
    Hessian,

    /// <summary>One minus the cosine of O and O' over the features of a row.</summary>
    Cosine,
}
