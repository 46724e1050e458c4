using RegCache.Lab.Quantization.Ptq4Vit;
using RegCache.Lab.Quantization.RepqVit;

namespace RegCache.Lab.Quantization.Storage;

/// <summary>How one quantizer is written down: its kind and its whole numbers; its scales are tensors of the file beside.</summary>
/// <param name="Kind">The kind of quantizer.</param>
/// <param name="Lowest">Smallest code of a uniform grid, else 0.</param>
/// <param name="Highest">Largest code of a uniform grid, or the bit-width of another quantizer.</param>
internal sealed record QuantizerRecord(QuantizerKind Kind, int Lowest, int Highest)
{
    /// <summary>Writes a quantizer down.</summary>
    /// <param name="quantizer">The quantizer.</param>
    /// <param name="keep">Takes the tensors, by the name of their role.</param>
    public static QuantizerRecord Of(ITensorQuantizer quantizer, Action<string, Tensor> keep)
    {
        void KeepScale(float scale) => keep("scale", torch.tensor(new[] { scale }));
        switch (quantizer)
        {
            case UniformQuantizer grid:
                keep("scale", grid.Scale);
                if (grid.ZeroPoint is { } zeroPoint)
                {
                    keep("zero_point", zeroPoint);
                }

                return new(QuantizerKind.Uniform, grid.Lowest, grid.Highest);
            case PostGeluQuantizer twin:
                KeepScale(twin.Scale);
                return new(QuantizerKind.PostGelu, 0, twin.Bits);
            case SoftmaxTwinQuantizer twin:
                KeepScale(twin.Split);
                return new(
                    twin.Form == SoftmaxTwin.Released ? QuantizerKind.SoftmaxTwinReleased : QuantizerKind.SoftmaxTwinPaper, 0, twin.Bits);
            case LogSqrt2Quantizer logarithmic:
                KeepScale(logarithmic.Scale);
                return new(QuantizerKind.LogSqrt2, 0, logarithmic.Bits);
            default:
                throw new ArgumentException($"A quantizer of type {quantizer.GetType().Name} cannot be stored.", nameof(quantizer));
        }
    }

    /// <summary>The quantizer.</summary>
    /// <param name="find">Gives the tensor of a role, or null.</param>
    /// <exception cref="UserException">The record or a tensor does not describe a quantizer.</exception>
    public ITensorQuantizer Read(Func<string, Tensor?> find)
    {
        var scale = find("scale") ?? throw new UserException("a scale is missing");
        if (Kind == QuantizerKind.Uniform)
        {
            return Lowest < Highest && Highest - Lowest < 1 << QuantizationBits.Maximum
                ? new UniformQuantizer(scale, find("zero_point"), Lowest, Highest)
                : throw new UserException($"codes {Lowest} to {Highest} are no grid");
        }

        if (Highest is < QuantizationBits.Minimum or > QuantizationBits.Maximum || scale.NumberOfElements != 1)
        {
            throw new UserException($"{Highest} bits with {scale.NumberOfElements} scales are no quantizer");
        }

        var value = scale.item<float>();
        return Kind switch
        {
            QuantizerKind.PostGelu => new PostGeluQuantizer(value, Highest),
            QuantizerKind.SoftmaxTwinReleased => new SoftmaxTwinQuantizer(value, Highest, SoftmaxTwin.Released),
            QuantizerKind.SoftmaxTwinPaper => new SoftmaxTwinQuantizer(value, Highest, SoftmaxTwin.Paper),
            _ => new LogSqrt2Quantizer(value, Highest),
        };
    }
}

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
