namespace RegCache.Lab.Quantization;

/// <summary>Replaces the values of a tensor by those that a quantizer can represent.</summary>
public interface ITensorQuantizer
{
    /// <summary>Quantizes and dequantizes: the values that integer arithmetic would see, in the input's shape.</summary>
    Tensor FakeQuantize(Tensor values);
}
