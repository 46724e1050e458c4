namespace RegCache.Lab.Quantization.Storage;

/// <summary>The quantizers that a calibration file may hold.</summary>
internal enum QuantizerKind
{
    /// <summary><see cref="UniformQuantizer"/>.</summary>
    Uniform,

    /// <summary><see cref="Ptq4Vit.PostGeluQuantizer"/>.</summary>
    PostGelu,

    /// <summary><see cref="Ptq4Vit.SoftmaxTwinQuantizer"/> in its released form.</summary>
    SoftmaxTwinReleased,

    /// <summary><see cref="Ptq4Vit.SoftmaxTwinQuantizer"/> in its paper form.</summary>
    SoftmaxTwinPaper,

    /// <summary><see cref="RepqVit.LogSqrt2Quantizer"/>.</summary>
    LogSqrt2,
}
