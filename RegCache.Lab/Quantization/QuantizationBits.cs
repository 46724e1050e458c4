using System.Globalization;
using System.Text.RegularExpressions;

namespace RegCache.Lab.Quantization;

/// <summary>Bit-widths of weights and activations, written "W8A8".</summary>
public sealed partial record QuantizationBits
{
    /// <summary>Smallest and largest supported bit-width.</summary>
    public const int Minimum = 2, Maximum = 8;

    /// <summary>Creates the pair.</summary>
    /// <param name="weights">Bits of every weight, 2..8.</param>
    /// <param name="activations">Bits of every quantized activation, 2..8.</param>
    /// <exception cref="UserException">A width is out of range.</exception>
    public QuantizationBits(int weights, int activations)
    {
        Weights = Checked(weights, nameof(weights));
        Activations = Checked(activations, nameof(activations));
    }

    /// <summary>Bits of every weight.</summary>
    public int Weights { get; }

    /// <summary>Bits of every quantized activation.</summary>
    public int Activations { get; }

    /// <summary>Reads "W8A8" (in either case), or "8" for the same width twice.</summary>
    /// <exception cref="UserException">The text is neither, or a width is out of range.</exception>
    public static QuantizationBits Parse(string text)
    {
        if (Pattern().Match(text) is not { Success: true } match)
        {
            throw new UserException($"`{text}` is not a pair of bit-widths; write it like W8A8 or W4A8.");
        }

        int Number(int group) => int.Parse(match.Groups[group].ValueSpan, CultureInfo.InvariantCulture);
        return match.Groups[3].Success ? new(Number(3), Number(3)) : new(Number(1), Number(2));
    }

    /// <summary>The pair as "W8A8".</summary>
    public override string ToString() => $"W{Weights}A{Activations}";

    [GeneratedRegex("^(?:w([0-9]{1,3})a([0-9]{1,3})|([0-9]{1,3}))$", RegexOptions.IgnoreCase)]
    private static partial Regex Pattern();

    private static int Checked(int bits, string of) => bits is >= Minimum and <= Maximum
        ? bits
        : throw new UserException($"{bits} bits for {of} are not supported; choose {Minimum} to {Maximum}.");
}
