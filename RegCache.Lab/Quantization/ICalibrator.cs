using RegCache.Lab.Encoders;

namespace RegCache.Lab.Quantization;

/// <summary>Finds the ranges of a quantizer for one way to run the encoder.</summary>
public interface ICalibrator
{
    /// <summary>How often a search should calibrate, unless it is told otherwise.</summary>
    Recalibration Recalibration { get; }

    /// <summary>
    /// Calibrates on the forward of the plan: its token stages and prefixes are active, so that the ranges are those of
    /// the stream that will be quantized. The transforms of the plan are ignored.
    /// </summary>
    /// <exception cref="UserException">An activation is not finite; the message names its layer and image.</exception>
    IQuantizer Calibrate(EncoderPlan plan);

    /// <summary>Names the method, its settings and its images: equal texts mean equal results.</summary>
    string ToString();
}
