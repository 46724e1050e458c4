using RegCache.Lab.Distributed;
using RegCache.Lab.Encoders;
using RegCache.Lab.Evaluation;
using RegCache.Lab.Quantization.Storage;

namespace RegCache.Lab.Quantization.Ptq4Vit;

/// <summary>
/// PTQ4ViT (Yuan et al., ECCV 2022, arXiv 2111.12293) and its relative BasePTQ: every layer sees float inputs, with the token
/// stages and prefixes of the plan active, and is searched on its own (docs/methods/quantizers.md). Of K processes each searches every K-th
/// block; then they tell each other what they have found.
/// </summary>
public sealed class Ptq4VitCalibrator : ICalibrator
{
    private const int RowGroupsOfAttentionIn = 3;

    private readonly VisionTower _tower;
    private readonly ZeroShotClassifier _classifier;
    private readonly CalibrationImages _images;
    private readonly Ptq4VitOptions _options;
    private readonly LayerSearch _search;
    private readonly HashSet<string> _told = [];

    /// <summary>Prepares calibrations.</summary>
    /// <param name="tower">The float encoder.</param>
    /// <param name="classifier">Turns features into the logits of the loss.</param>
    /// <param name="images">The calibration images.</param>
    /// <param name="options">Bits and search.</param>
    /// <exception cref="UserException">The options are out of range.</exception>
    public Ptq4VitCalibrator(
        VisionTower tower, ZeroShotClassifier classifier, CalibrationImages images, Ptq4VitOptions options)
    {
        options.Validate();
        (_tower, _classifier, _images, _options) = (tower, classifier, images, options);
        _search = new(options, images.Memory);
    }

    /// <inheritdoc />
    public Recalibration Recalibration => Recalibration.TwoPass;

    /// <inheritdoc />
    /// <exception cref="UserException">An activation is not finite, or the loss has no gradient.</exception>
    public IQuantizer Calibrate(EncoderPlan plan)
    {
        var (processes, blocks) = (_images.Processes, new CalibratedBlock?[_tower.Blocks.Count]);
        bool IsOwn(int block) => block % processes.Size == processes.Rank;

        // The last process never has more blocks than another.
        var hasPatches = processes.Rank == processes.Size - 1;
        var (done, own) = (0, Enumerable.Range(0, blocks.Length).Count(IsOwn) + (hasPatches ? 1 : 0));
        using var progress = _images.Progress.Start($"calibrating {_options.Bits} on {_images.Count} images", own, "layers");
        using var recording = new FloatRecording(_tower, _classifier, _images, _options, plan);
        if (!recording.HasGradient)
        {
            throw new UserException(
                $"The loss has no gradient at all, so the Hessian metric cannot tell scales apart; use {(_options.Loss == HessianLoss.Kl ? "--hessian-loss pseudo-label or " : "")}--metric cosine.");
        }

        recording.VisitBlocks(
            (block, recorder) =>
            {
                blocks[block] = SearchBlock(recorder, block, plan.Blocks[block]);
                progress.Report(++done);
            },
            IsOwn);
        CalibratedPatches? patches = null;
        if (hasPatches)
        {
            patches = SearchPatches(recording.Patches());
            progress.Report(++done);
        }

        TellTogether(processes);
        return CalibrationExchange.Join(processes, ToString(), patches, blocks, _tower.Placement.Device);
    }

    /// <inheritdoc />
    // The gradients of the loss depend on the classes.
    public override string ToString() =>
        $"{Ptq4VitFamily.Name}, {_options}, {_images}{(_options.Metric == OutputMetric.Hessian ? $", classes {_classifier.Hash}" : "")}";

    private CalibratedBlock SearchBlock(BlockRecorder recorder, int block, BlockPlan plan)
    {
        var linears = new Dictionary<LinearKind, CalibratedLinear>();
        foreach (var kind in LinearKinds.All)
        {
            if (_tower.Blocks[block].Linear(kind) is { } linear)
            {
                using var scope = torch.NewDisposeScope();

                // What a memory reads is no output of a GELU.
                var isTwin = kind == LinearKind.MlpOut && _options.PostGeluTwin && _tower.Blocks[block].Mlp is FeedForward;
                linears[kind] = SearchLinear(recorder.Linear(kind, linear), kind, isTwin, kind.FullName(block));
            }
        }

        return new(linears, SearchAttention(recorder, block, plan.Prefix is null ? 0 : plan.PrefixCount));
    }

    private CalibratedLinear SearchLinear(RecordedProduct product, LinearKind kind, bool isTwin, string name)
    {
        product = Comparable(product, name);
        var groups = kind == LinearKind.AttentionIn ? RowGroupsOfAttentionIn : 1;
        var scales = _search.Linear(product, groups, isTwin, name);
        var rows = (int)product.Right.shape[1];
        float[] rowScales = [.. Enumerable.Range(0, rows).Select(row => scales.RightScales[row * groups / rows])];
        var weight = SearchRange.Grid(rowScales, _options.Bits.Weights, product.Left.device, rows, 1);
        return TensorScope.Keep(new CalibratedLinear(scales.Left, weight));
    }

    private AttentionProducts SearchAttention(BlockRecorder recorder, int block, long prefix)
    {
        using var scope = torch.NewDisposeScope();
        var layer = $"visual.transformer.resblocks.{block}";
        var (queries, keys) = SearchHeads(recorder.Product("attn.qk"), (1, prefix), null, $"{layer}.attn.qk");
        var weighted = recorder.Product("attn.av");
        ITensorQuantizer? split = _options.SoftmaxTwin is { } form
            ? _search.Split(Comparable(weighted, $"{layer}.attn.av").AllHeads(), form, $"{layer}.attn.av")
            : null;
        var (probabilities, values) = SearchHeads(weighted, (2, prefix), split, $"{layer}.attn.av");
        return TensorScope.Keep(new AttentionProducts(queries, keys, probabilities, values));
    }

    private (ITensorQuantizer Left, ITensorQuantizer Right) SearchHeads(
        RecordedProduct product, (int Axis, long Count) prefix, ITensorQuantizer? left, string name)
    {
        product = Comparable(product, name);
        var heads = (int)product.Left.shape[1];
        var found = Enumerable.Range(0, heads).Select(head =>
        {
            using var scope = torch.NewDisposeScope();
            return _search.Head(product.Head(head), prefix, left, name);
        }).ToArray();
        UniformQuantizer Grid(IEnumerable<float> scales) => SearchRange.Grid(
            [.. scales], _options.Bits.Activations, product.Left.device, heads, 1, 1);
        return (left ?? Grid(found.Select(head => head.LeftScale)), Grid(found.Select(head => head.RightScale)));
    }

    private CalibratedPatches SearchPatches(RecordedProduct product)
    {
        using var scope = torch.NewDisposeScope();
        product = Comparable(product, "visual.conv1");
        var (_, scales) = _search.Patches(product, "visual.conv1");
        return TensorScope.Keep(new CalibratedPatches(
            null, SearchRange.Grid(scales, _options.Bits.Weights, product.Left.device, scales.Length, 1, 1, 1)));
    }

    // Where the loss does not depend on a layer, as in a pruned block, the Hessian metric finds all scales equally good. The layer's own
    // output is compared then.
    private RecordedProduct Comparable(RecordedProduct product, string name)
    {
        if (product.Gradient is not { } gradient)
        {
            return product;
        }

        using var scope = torch.NewDisposeScope();
        var largest = gradient.abs().max();
        FiniteCheck.Require(largest, gradient, name);
        if (largest.item<float>() != 0)
        {
            return product;
        }

        Tell(name);
        return product with { Gradient = null };
    }

    private void Tell(string name)
    {
        if (_told.Add(name))
        {
            _images.Progress.Message($"The loss does not depend on {name}; its scales are chosen by the cosine metric.");
        }
    }

    // Only the first process is heard, so it tells of the others' layers, too.
    private void TellTogether(IProcessGroup processes) => processes.GatherTexts(string.Join('\n', _told))
        .SelectMany(names => names.Split('\n', StringSplitOptions.RemoveEmptyEntries)).ToList().ForEach(Tell);
}
