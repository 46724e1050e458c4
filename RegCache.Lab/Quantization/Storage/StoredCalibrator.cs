using RegCache.Lab.Distributed;
using RegCache.Lab.Encoders;
using RegCache.Lab.Reports;

namespace RegCache.Lab.Quantization.Storage;

/// <summary>
/// A calibrator whose results are kept in files, so that later runs need not find them again. Of several processes the first one reads and
/// writes them, and sends what it has read to the others: all of them use a file, or none.
/// </summary>
/// <param name="calibrator">Finds the ranges that are not stored yet.</param>
/// <param name="folder">Where the files are.</param>
/// <param name="tower">The encoder.</param>
/// <param name="modelHash">Identifies the encoder's weights.</param>
/// <param name="progress">Told of files that are used again.</param>
/// <param name="force">Whether to calibrate even if a file is there.</param>
/// <param name="processes">The processes that calibrate the same plans in the same order; null: this one alone.</param>
public sealed class StoredCalibrator(
    ICalibrator calibrator, string folder, VisionTower tower, string modelHash, IWorkProgress progress, bool force = false,
    IProcessGroup? processes = null) : ICalibrator
{
    private const int NameLength = 16;

    private readonly IProcessGroup _processes = processes ?? SingleProcess.Instance;

    /// <inheritdoc />
    public Recalibration Recalibration => calibrator.Recalibration;

    /// <inheritdoc />
    public IQuantizer Calibrate(EncoderPlan plan)
    {
        if (calibrator.Recalibration == Recalibration.Never)
        {
            return calibrator.Calibrate(plan);
        }

        var path = Path.Combine(folder, KeyOf(plan).Hash[..NameLength]);
        var stored = _processes.Rank == 0 ? TryLoad(path) : null;
        if (_processes.FromFirst(stored is null ? 0 : 1) == 1)
        {
            CalibratedBlock?[] blocks = stored is null ? new CalibratedBlock?[tower.Blocks.Count] : [.. stored.Blocks];
            return CalibrationExchange.Join(_processes, stored?.Method ?? ToString(), stored?.Patches, blocks, tower.Placement.Device);
        }

        var quantizer = calibrator.Calibrate(plan);
        if (quantizer is CalibratedQuantizer calibrated && _processes.Rank == 0)
        {
            Directory.CreateDirectory(folder);
            CalibrationFile.Save(path, calibrated);
        }

        return quantizer;
    }

    /// <inheritdoc />
    public override string ToString() => calibrator.ToString() ?? string.Empty;

    private CalibratedQuantizer? TryLoad(string path)
    {
        if (force || !File.Exists($"{path}.json"))
        {
            return null;
        }

        try
        {
            var stored = CalibrationFile.Load(path, tower.Placement.Device);
            progress.Message($"{path}.json: calibration used again (--force calibrates again).");
            return stored;
        }
        catch (UserException exception)
        {
            progress.Message(exception.Message);
            return null;
        }
    }

    // Stages and prefixes print their content, so the text identifies the plan.
    private StageKey KeyOf(EncoderPlan plan) => StageKey.Of(new
    {
        Model = modelHash,
        Method = ToString(),
        Plan = string.Join("; ", plan.Blocks.Select(block => (block with { Transform = null }).ToString())),
    });
}

/// <summary>
/// A calibrator that does nothing twice: asked again for a plan with the same token stages and prefixes it returns the same
/// quantizer, so that plans made from it share their computation.
/// </summary>
/// <param name="calibrator">Finds the ranges.</param>
public sealed class RememberedCalibrator(ICalibrator calibrator) : ICalibrator
{
    private readonly Dictionary<EncoderPlan, IQuantizer> _found = [];

    /// <inheritdoc />
    public Recalibration Recalibration => calibrator.Recalibration;

    /// <inheritdoc />
    public IQuantizer Calibrate(EncoderPlan plan)
    {
        var key = plan with { Embedding = null, Blocks = [.. plan.Blocks.Select(block => block with { Transform = null })] };
        if (!_found.TryGetValue(key, out var quantizer))
        {
            _found.Add(key, quantizer = calibrator.Calibrate(plan));
        }

        return quantizer;
    }

    /// <inheritdoc />
    public override string ToString() => calibrator.ToString() ?? string.Empty;
}
