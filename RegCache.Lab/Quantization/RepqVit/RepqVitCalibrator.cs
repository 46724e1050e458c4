using RegCache.Lab.Encoders;

namespace RegCache.Lab.Quantization.RepqVit;

/// <summary>
/// RepQ-ViT (quantizers.md, section 3): one quantized forward pass of all calibration images, in which every layer takes
/// its ranges from the quantized stream, then the reparameterisation of the LayerNorm outputs. The published code runs a
/// second pass to renew the weight grids behind the LayerNorms; they depend on the weights alone, so none is needed.
/// </summary>
/// <remarks>
/// Calibrating one plan after another does again only what changed: blocks before the first difference to the plan
/// before keep their ranges, and plans made from them share the computation (regcache.md, section 8.3).
/// </remarks>
public sealed class RepqVitCalibrator : ICalibrator, IDisposable
{
    // quantizers.md, section 0: the one activation whose width is fixed.
    private const int ImageBits = 8;

    private readonly VisionTower _tower;
    private readonly CalibrationImages _images;
    private readonly QuantizationBits _bits;
    private readonly Dictionary<(int Block, LinearKind Kind), UniformQuantizer> _weightGrids = [];
    private readonly List<Step> _path = [];
    private CalibratedPatches? _patches;
    private TokenBatch? _embedded;

    /// <summary>Prepares calibrations.</summary>
    /// <param name="tower">The float encoder.</param>
    /// <param name="images">The calibration images; they run as one batch.</param>
    /// <param name="bits">Bit-widths of the run.</param>
    public RepqVitCalibrator(VisionTower tower, CalibrationImages images, QuantizationBits bits) =>
        (_tower, _images, _bits) = (tower, images, bits);

    /// <inheritdoc />
    public Recalibration Recalibration => Recalibration.Every;

    /// <summary>Number of blocks calibrated so far.</summary>
    public long BlockCalibrations { get; private set; }

    /// <inheritdoc />
    public IQuantizer Calibrate(EncoderPlan plan)
    {
        using var noGradient = torch.no_grad();
        var shared = SharedBlocks(plan);
        Forget(shared);
        using var progress = _images.Progress.Start($"calibrating {_bits}", plan.Blocks.Count, "blocks", shared);
        _embedded ??= Embed();
        for (var block = shared; block < plan.Blocks.Count; block++)
        {
            _images.Cancellation.ThrowIfCancellationRequested();
            _path.Add(CalibrateBlock(block, plan.Blocks[block] with { Transform = null }));
            progress.Report(block + 1);
        }

        return new CalibratedQuantizer(ToString(), _patches, [.. _path.Select(step => step.Calibrated)]);
    }

    /// <inheritdoc />
    public override string ToString() => $"RepQ-ViT {_bits}, {_images}";

    /// <inheritdoc />
    public void Dispose()
    {
        Forget(0);
        _embedded?.Tokens.Dispose();
        _embedded = null;
    }

    /// <summary>The grids of a block as first taken from the stream, before reparameterisation.</summary>
    internal BlockInitializer Initialized(int block) => _path[block].Initial;

    private int SharedBlocks(EncoderPlan plan)
    {
        var shared = 0;
        while (shared < _path.Count && _path[shared].Plan == plan.Blocks[shared] with { Transform = null })
        {
            shared++;
        }

        return shared;
    }

    private void Forget(int from)
    {
        foreach (var step in _path.Skip(from))
        {
            // Sizes and positions may be shared with earlier steps; tokens never are.
            step.Output.Tokens.Dispose();
        }

        _path.RemoveRange(from, _path.Count - from);
    }

    private TokenBatch Embed()
    {
        using var scope = torch.NewDisposeScope();
        var input = PercentileRange.OfTensor(QuantizedLinear.Wide(_images.All), ImageBits, "visual.conv1");
        var weight = PercentileRange.OfWeights(QuantizedLinear.Wide(_tower.Patches.Weight), _bits.Weights);
        _patches = new(input, weight);
        var stream = _tower.Embed(_images.All, _patches);
        stream.Tokens.DetachFromDisposeScope();
        return stream;
    }

    private Step CalibrateBlock(int block, BlockPlan plan)
    {
        using var scope = torch.NewDisposeScope();
        var input = block == 0 ? _embedded! : _path[block - 1].Output;
        var initial = new BlockInitializer(block, _bits, (kind, weight) => WeightGrid(block, kind, weight));
        var output = TransformerBlock.Forward(input, block, initial.Observe(_tower.Blocks[block]), plan);
        foreach (var tensor in output.Tensors)
        {
            tensor.DetachFromDisposeScope();
        }

        BlockCalibrations++;
        return new(plan, initial, initial.Finish(), output);
    }

    private UniformQuantizer WeightGrid(int block, LinearKind kind, Tensor weight)
    {
        if (!_weightGrids.TryGetValue((block, kind), out var grid))
        {
            _weightGrids[(block, kind)] = grid = PercentileRange.OfWeights(weight, _bits.Weights);
        }

        return grid;
    }

    private sealed record Step(BlockPlan Plan, BlockInitializer Initial, CalibratedBlock Calibrated, TokenBatch Output);
}
