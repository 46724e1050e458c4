using RegCache.Lab.Encoders;
using RegCache.Lab.Reports;

namespace RegCache.Lab.Quantization.Storage;

/// <summary>A calibration whose results are kept in files, so that evaluating does not repeat it.</summary>
/// <param name="calibration">Finds the ranges that are not stored yet.</param>
/// <param name="folder">Where the files are.</param>
/// <param name="tower">The encoder.</param>
/// <param name="modelHash">Identifies the encoder's weights.</param>
/// <param name="progress">Told of files that are used again.</param>
/// <param name="force">Whether to calibrate even if a file is there.</param>
public sealed class StoredCalibration(
    ICalibrator calibration, string folder, VisionTower tower, string modelHash, IWorkProgress progress, bool force = false) : ICalibrator
{
    private const int NameLength = 16;

    /// <inheritdoc />
    public Recalibration Recalibration => calibration.Recalibration;

    /// <inheritdoc />
    public IQuantizer Calibrate(EncoderPlan plan)
    {
        if (calibration.Recalibration == Recalibration.Never)
        {
            return calibration.Calibrate(plan);
        }

        var path = Path.Combine(folder, KeyOf(plan).Hash[..NameLength]);
        if (!force && File.Exists($"{path}.json"))
        {
            try
            {
                var stored = CalibrationFile.Load(path, tower.Placement.Device);
                progress.Message($"{path}.json: calibration used again (--force calibrates again).");
                return stored;
            }
            catch (UserException exception)
            {
                progress.Message(exception.Message);
            }
        }

        var quantizer = calibration.Calibrate(plan);
        if (quantizer is CalibratedQuantizer calibrated)
        {
            Directory.CreateDirectory(folder);
            CalibrationFile.Save(path, calibrated);
        }

        return quantizer;
    }

    /// <inheritdoc />
    public override string ToString() => calibration.ToString() ?? string.Empty;

    // Stages and prefixes print their content, so the text identifies the plan.
    private StageKey KeyOf(EncoderPlan plan) => StageKey.Of(new
    {
        Model = modelHash,
        Method = ToString(),
        Plan = string.Join("; ", plan.Blocks.Select(block => (block with { Transform = null }).ToString())),
    });
}
