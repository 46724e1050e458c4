using RegCache.Lab.Quantization;

namespace RegCache.Lab.Cli.Commands;

/// <summary>The quantizer of a run: a family at any bit-widths, with one set of calibration images.</summary>
internal sealed class QuantizerSetup : IDisposable
{
    private readonly QuantizerFamily _family;
    private readonly CalibrationRequest _request;
    private readonly Lazy<CalibrationImages> _images;
    private readonly Dictionary<QuantizationBits, ICalibrator> _made = [];

    /// <summary>Makes the calibrator of the request, so that what it lacks is refused before anything runs.</summary>
    /// <exception cref="UserException">The calibration set is missing or too small, or an option is out of range.</exception>
    public QuantizerSetup(QuantizerFamily family, CalibrationRequest request)
    {
        _images = new(request.Images);
        (_family, _request) = (family, request with { Images = () => _images.Value });
        At(request.Bits);
    }

    /// <summary>The calibrator at given bit-widths; the same object every time, so that it can use what it did before.</summary>
    public ICalibrator At(QuantizationBits bits) =>
        _made.TryGetValue(bits, out var made) ? made : _made[bits] = _family.Create(_request with { Bits = bits });

    public void Dispose()
    {
        foreach (var calibrator in _made.Values.OfType<IDisposable>())
        {
            calibrator.Dispose();
        }

        if (_images.IsValueCreated)
        {
            _images.Value.Dispose();
        }
    }
}
