using RegCache.Lab.Encoders;

namespace RegCache.Lab.Quantization.RepqVit;

/// <summary>
/// RepQ-ViT (Li et al., ICCV 2023, arXiv 2212.08254): one quantized forward pass of all calibration images, in which every
/// layer takes its ranges from the quantized stream, then the reparameterization of the LayerNorm outputs
/// (docs/methods/quantizers.md). The released code runs a second pass to renew the weight grids behind the LayerNorms; they
/// depend on the weights alone, so none is needed.
/// </summary>
/// <remarks>
/// Calibrating one plan after another does again only what changed: blocks before the first difference to the plan
/// before keep their ranges, and plans made from them share the computation.
/// </remarks>
public sealed class RepqVitCalibrator : ICalibrator, IDisposable
{
    // The images are the one activation whose width does not follow the run's.
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
    public override string ToString() => $"{RepqVitFamily.Name} {_bits}, {_images}";

    /// <inheritdoc />
    public void Dispose()
    {
        Forget(0);
        _embedded?.Tokens.Dispose();
        _embedded = null;
    }

    /// <summary>The grids of a block as first taken from the stream, before reparameterization.</summary>
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
        _patches = TensorScope.Keep(new CalibratedPatches(input, weight));
        var stream = _tower.Embed(_images.All, _patches);
        TensorScope.Keep(stream.Tokens);
        return stream;
    }

    private Step CalibrateBlock(int block, BlockPlan plan)
    {
        using var scope = torch.NewDisposeScope();
        var input = block == 0 ? _embedded! : _path[block - 1].Output;
        var initial = new BlockInitializer(block, _bits, (kind, weight) => WeightGrid(block, kind, weight));
        var output = TransformerBlock.Forward(input, block, initial.Observe(_tower.Blocks[block]), plan);
        TensorScope.Keep(output);
        BlockCalibrations++;
        return new(plan, initial, initial.Finish(), output);
    }

    private UniformQuantizer WeightGrid(int block, LinearKind kind, Tensor weight)
    {
        if (!_weightGrids.TryGetValue((block, kind), out var grid))
        {
            _weightGrids[(block, kind)] = grid = TensorScope.Keep(PercentileRange.OfWeights(weight, _bits.Weights));
        }

        return grid;
    }

    private sealed record Step(BlockPlan Plan, BlockInitializer Initial, CalibratedBlock Calibrated, TokenBatch Output);
}

/// <summary>RepQ-ViT among the <see cref="QuantizerFamilies"/>.</summary>
public static class RepqVitFamily
{
    /// <summary>Its name.</summary>
    public const string Name = "repqvit";

    /// <summary>The family.</summary>
    public static QuantizerFamily Entry { get; } = new(
        Name,
        "RepQ-ViT: percentile ranges, log-sqrt2 attention, and one grid for all channels behind a LayerNorm.",
        [CalibrationImages.CountOption],
        request => new RepqVitCalibrator(request.Tower, request.Images(), request.Bits))
    {
        Formats = [LogSqrt2Quantizer.Format],
    };
}
