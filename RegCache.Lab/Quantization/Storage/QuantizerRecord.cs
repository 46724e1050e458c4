namespace RegCache.Lab.Quantization.Storage;

/// <summary>How one kind of tensor quantizer is written to files: by a number and a bit-width.</summary>
/// <param name="Kind">The kind's name in files.</param>
/// <param name="Write">The number and the bit-width of a quantizer of this kind; null for one of another.</param>
/// <param name="Read">Makes the quantizer again.</param>
public sealed record QuantizerFormat(
    string Kind, Func<ITensorQuantizer, (float Scale, int Bits)?> Write, Func<float, int, ITensorQuantizer> Read);

/// <summary>How one quantizer is written down: its kind and its whole numbers; its scales are tensors of the file beside.</summary>
/// <param name="Kind">The kind of quantizer: "uniform", or a <see cref="QuantizerFormat"/> of a family.</param>
/// <param name="Lowest">Smallest code of a uniform grid, else 0.</param>
/// <param name="Highest">Largest code of a uniform grid, or the bit-width of another quantizer.</param>
internal sealed record QuantizerRecord(string Kind, int Lowest, int Highest)
{
    private const string Uniform = "uniform";

    /// <summary>Writes a quantizer down.</summary>
    /// <param name="quantizer">The quantizer.</param>
    /// <param name="keep">Takes the tensors, by the name of their role.</param>
    /// <exception cref="ArgumentException">No family has a format for it.</exception>
    public static QuantizerRecord Of(ITensorQuantizer quantizer, Action<string, Tensor> keep)
    {
        if (quantizer is UniformQuantizer grid)
        {
            keep("scale", grid.Scale);
            if (grid.ZeroPoint is { } zeroPoint)
            {
                keep("zero_point", zeroPoint);
            }

            return new(Uniform, grid.Lowest, grid.Highest);
        }

        foreach (var format in Formats())
        {
            if (format.Write(quantizer) is var (scale, bits))
            {
                using var tensor = torch.tensor(new[] { scale });
                keep("scale", tensor);
                return new(format.Kind, 0, bits);
            }
        }

        throw new ArgumentException(
            $"No family of quantizers says how a {quantizer.GetType().Name} is stored; add a format to the family that makes it.", nameof(quantizer));
    }

    /// <summary>The quantizer.</summary>
    /// <param name="find">Gives the tensor of a role, or null.</param>
    /// <exception cref="UserException">The record or a tensor does not describe a quantizer.</exception>
    public ITensorQuantizer Read(Func<string, Tensor?> find)
    {
        var scale = find("scale") ?? throw new UserException("a scale is missing");
        if (Kind == Uniform)
        {
            return Lowest < Highest && Highest - Lowest < 1 << QuantizationBits.Maximum
                ? new UniformQuantizer(scale, find("zero_point"), Lowest, Highest)
                : throw new UserException($"codes {Lowest} to {Highest} are no grid");
        }

        var format = Formats().FirstOrDefault(format => format.Kind == Kind) ?? throw new UserException($"its kind '{Kind}' is unknown");
        return Highest is >= QuantizationBits.Minimum and <= QuantizationBits.Maximum && scale.NumberOfElements == 1
            ? format.Read(scale.item<float>(), Highest)
            : throw new UserException($"{Highest} bits with {scale.NumberOfElements} scales are no quantizer");
    }

    private static IEnumerable<QuantizerFormat> Formats() => QuantizerFamilies.All.SelectMany(family => family.Formats);
}
