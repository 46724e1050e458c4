using RegCache.Lab.Encoders;

namespace RegCache.Lab.Quantization;

/// <summary>
/// A calibration that does nothing twice: asked again for a plan with the same token stages and prefixes it returns the
/// same quantizer, so that plans made from it share their computation.
/// </summary>
/// <param name="calibration">Finds the ranges.</param>
public sealed class RememberedCalibrator(ICalibrator calibration) : ICalibrator
{
    private readonly Dictionary<EncoderPlan, IQuantizer> _found = [];

    /// <inheritdoc />
    public Recalibration Recalibration => calibration.Recalibration;

    /// <inheritdoc />
    public IQuantizer Calibrate(EncoderPlan plan)
    {
        var key = plan with { Embedding = null, Blocks = [.. plan.Blocks.Select(block => block with { Transform = null })] };
        if (!_found.TryGetValue(key, out var quantizer))
        {
            _found.Add(key, quantizer = calibration.Calibrate(plan));
        }

        return quantizer;
    }

    /// <inheritdoc />
    public override string ToString() => calibration.ToString() ?? string.Empty;
}
