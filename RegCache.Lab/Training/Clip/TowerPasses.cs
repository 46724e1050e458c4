using RegCache.Lab.Distributed;
using RegCache.Lab.Encoders;
using RegCache.Lab.Evaluation;
using RegCache.Lab.Pooling;
using RegCache.Lab.Pooling.Towers;

namespace RegCache.Lab.Training.Clip;

/// <summary>Makes the passes of a model's towers. What is trained is what requires gradients when a pass is made.</summary>
/// <param name="model">The model.</param>
/// <param name="precision">How the layers of both towers run; null runs them in float32.</param>
/// <param name="patchDropout">Probability with which a patch token is dropped; at least one stays.</param>
internal sealed class TowerPasses(ClipModel model, ILayerTransform? precision, double patchDropout)
{
    private const string VisionBlocks = "visual.transformer.resblocks.";
    private const long ImagePurpose = 610, TextPurpose = 611;

    private readonly BlockLayers[] _visionBlocks = Bind((model.ImageTower as VisionTower)?.Blocks ?? [], precision);
    private readonly BlockLayers[] _textBlocks = Bind(model.Text?.Blocks ?? [], precision);

    /// <summary>Told of gradients that are there; null: nobody is.</summary>
    public GradientAverage? Average { get; init; }

    /// <summary>Makes the pass of the image tower's poolings, of the stream that draws and the pass's share of the step.</summary>
    internal Func<CounterRandom, double, PoolingPass> PoolingOfImages { get; init; } = (random, share) =>
        PoolingPass.Of(random.Fork(ImagePurpose), model.ImageTower.Placement.Device, share);

    /// <summary>Encodes images.</summary>
    /// <param name="images">Normalised images [B,3,H,W].</param>
    /// <param name="random">Draws the dropped patches; the same stream draws the same ones.</param>
    /// <param name="checkpointing">Whether activations inside blocks are forgotten.</param>
    /// <param name="normalize">Whether features get unit length.</param>
    /// <param name="share">Share of the step's loss that the pass has: the losses of poolings are weighted by it.</param>
    /// <param name="firstImage">Where the images begin in the batch of all processes.</param>
    public TowerPass Images(
        Tensor images, CounterRandom random, bool checkpointing, bool normalize = true, double share = 1, int firstImage = 0) => model.ImageTower switch
    {
        ModifiedResNet network => Images(network, images, checkpointing, normalize),
        DripTower tower => Images(tower, images, Own(random, firstImage), checkpointing, normalize, share),
        _ => Images(model.Vision, images, random, firstImage, checkpointing, normalize, share),
    };

    // Boundaries are drawn by each of several processes for its own images.
    private static CounterRandom Own(CounterRandom random, int firstImage) => firstImage == 0 ? random : random.Fork(-firstImage);

    /// <summary>Encodes texts to features of unit length.</summary>
    /// <param name="ids">Token ids [B,context], int64.</param>
    /// <param name="checkpointing">Whether activations inside blocks are forgotten.</param>
    /// <param name="random">Draws boundaries where the tower pools; the same stream draws the same ones. Null draws none.</param>
    /// <param name="share">Share of the step's loss that the pass has.</param>
    public TowerPass Texts(Tensor ids, bool checkpointing, CounterRandom? random = null, double share = 1)
    {
        var tower = model.Text!;
        var prefix = model.Config.CustomText ? "text." : "";
        var (known, blocks) = (new KnownStreams(_textBlocks.Length + 1), _textBlocks.Length);
        var isTrained = tower.Config.Pooling is not null && IsTrained(name => !name.StartsWith("visual.", StringComparison.Ordinal));
        var pooling = isTrained && random is { } stream ? PoolingPass.Of(stream.Fork(TextPurpose), tower.Placement, share) : null;
        return new(
            ids,
            [
                inputs => TensorScope.Run(() => known.Put(0, tower.Embed(inputs))),
                .. _textBlocks.Select((layers, block) => (Func<Tensor, Tensor>)(tokens => TensorScope.Run(
                    () => known.Put(block + 1, tower.RunBlock(known.Take(block, tokens), block, layers, ids, pooling))))),
                tokens => TensorScope.Run(() => ZeroShotClassifier.Normalize(tower.Project(known.Take(blocks, tokens), ids))),
            ],
            checkpointing,
            FirstTrained(
                _textBlocks.Length,
                name => name.StartsWith("visual.", StringComparison.Ordinal) || name.StartsWith("logit_", StringComparison.Ordinal) ? null
                    : BlockOf(name, $"{prefix}transformer.resblocks.") ?? (name.StartsWith($"{prefix}ln_final", StringComparison.Ordinal) || name.StartsWith($"{prefix}text_projection", StringComparison.Ordinal)
                        ? _textBlocks.Length + 1
                        : 0)),
            Average,
            known)
        {
            Pooling = pooling,
        };
    }

    private TowerPass Images(DripTower tower, Tensor images, CounterRandom random, bool checkpointing, bool normalize, double share)
    {
        if (precision is not null)
        {
            throw new UserException("A DRIP tower trains in float32, as its distances need: set `precision` to fp32, or train the tower 'vit'.");
        }

        var pooling = IsTrained(IsVision) ? PoolingOfImages(random, share) : null;
        var run = tower.Run(pooling);
        Tensor Finish(Tensor features) => normalize ? ZeroShotClassifier.Normalize(features) : features.alias();
        return new(images, [.. run.Segments, Finish], checkpointing, pooling is null ? run.Segments.Count + 1 : 0, Average, run) { Pooling = pooling };
    }

    // A ResNet that is not trained runs as it was trained, with its own statistics.
    private TowerPass Images(ModifiedResNet network, Tensor images, bool checkpointing, bool normalize)
    {
        var isTrained = IsTrained(IsVision);
        var segments = isTrained ? network.TrainingSegments(precision is null ? null : torch.ScalarType.BFloat16) : [network.Encode];
        Tensor Finish(Tensor features) => normalize ? ZeroShotClassifier.Normalize(features) : features.alias();
        return new(images, [.. segments, Finish], checkpointing, isTrained ? 0 : segments.Count + 1, Average);
    }

    private TowerPass Images(VisionTower tower, Tensor images, CounterRandom random, int firstImage, bool checkpointing, bool normalize, double share)
    {
        var known = new KnownStreams(_visionBlocks.Length + 1);
        var pooling = tower.Config.Pooling is not null && IsTrained(IsVision) ? PoolingOfImages(Own(random, firstImage), share) : null;
        var blocks = InTraining(pooling, tower.Config.Pooling?.LossWeight ?? 0);
        using var scope = torch.NewDisposeScope();
        var kept = PatchDropout.Draw((int)images.shape[0], tower.Config.Patches, patchDropout, random, firstImage)?.to(images.device);
        Tensor Embed(Tensor pixels) => TensorScope.Run(() =>
        {
            var stream = tower.Embed(pixels, precision);
            return known.Put(0, kept is null ? stream : stream.Select(kept));
        });
        Tensor Project(Tensor tokens) => TensorScope.Run(() =>
        {
            var features = tower.Project(known.Take(blocks.Length, tokens));
            return normalize ? ZeroShotClassifier.Normalize(features) : features;
        });

        return new(
            images,
            [
                Embed,
                .. blocks.Select((layers, block) => (Func<Tensor, Tensor>)(tokens => TensorScope.Run(() => known.Put(block + 1, TransformerBlock.Forward(
                    known.Take(block, tokens), block, layers, BlockPlan.Plain, keepTokens: block == blocks.Length - 1 ? tower.WantedTokens(probe: null) : null))))),
                Project,
            ],
            checkpointing,
            FirstTrained(
                _visionBlocks.Length,
                name => !name.StartsWith("visual.", StringComparison.Ordinal) ? null
                    : BlockOf(name, VisionBlocks) ?? (name.StartsWith("visual.ln_post", StringComparison.Ordinal) || name.StartsWith("visual.proj", StringComparison.Ordinal)
                        ? _visionBlocks.Length + 1
                        : 0)),
            Average,
            [known, .. kept is null ? [] : (IDisposable[])[kept.DetachFromDisposeScope()]])
        {
            Pooling = pooling,
        };
    }

    // Boundaries are drawn in training, and their loss goes along.
    private BlockLayers[] InTraining(PoolingPass? pass, double lossWeight)
    {
        if (pass is null)
        {
            return _visionBlocks;
        }

        var index = 0;
        return [.. _visionBlocks.Select(layers => layers with
        {
            Before = [.. layers.Before.Select(stage => stage is PoolRuns runs ? runs.InTraining(pass, index++, lossWeight) : stage)],
        })];
    }

    private static bool IsVision(string name) => name.StartsWith("visual.", StringComparison.Ordinal);

    private bool IsTrained(Func<string, bool> isOfTower) => model.Weights.Parameters.Any(pair => pair.Value.requires_grad && isOfTower(pair.Key));

    private static BlockLayers[] Bind(IReadOnlyList<BlockLayers> blocks, ILayerTransform? transform) =>
        [.. blocks.Select((layers, block) => transform?.Apply(block, layers) ?? layers)];

    // Segment 0 embeds, segment b + 1 is block b, the last one projects.
    private static int? BlockOf(string name, string start) =>
        name.StartsWith(start, StringComparison.Ordinal) ? int.Parse(name.AsSpan(start.Length, name.IndexOf('.', start.Length) - start.Length)) + 1 : null;

    private int FirstTrained(int blocks, Func<string, int?> segmentOf) => model.Weights.Parameters
        .Where(pair => pair.Value.requires_grad)
        .Select(pair => segmentOf(pair.Key))
        .Min() ?? blocks + 2;
}

/// <summary>
/// What is known of a stream between the segments of a pass besides its tokens: layout, sizes, what was set aside. A segment that runs again finds what
/// it found; what is set aside travels behind the tokens, so that its gradient does.
/// </summary>
internal sealed class KnownStreams(int places) : IDisposable
{
    private readonly TokenBatch?[] _streams = new TokenBatch?[places];
    private readonly List<Tensor>[] _owned = [.. Enumerable.Range(0, places).Select(_ => new List<Tensor>())];

    /// <summary>Notes a stream, and gives its tokens with those that it has set aside behind.</summary>
    public Tensor Put(int place, TokenBatch stream)
    {
        _owned[place].ForEach(tensor => tensor.Dispose());
        _owned[place].Clear();
        Tensor? Own(Tensor? tensor)
        {
            var own = tensor?.detach().DetachFromDisposeScope();
            _owned[place].AddRange(own is null ? [] : [own]);
            return own;
        }

        TokenBatch Known(TokenBatch batch) => batch with
        {
            Sizes = Own(batch.Sizes), Positions = Own(batch.Positions), Sources = Own(batch.Sources),
            Aside = batch.Aside is { } aside ? aside with { Stream = Known(aside.Stream), Rows = Own(aside.Rows)! } : null,
        };
        _streams[place] = Known(stream);
        return stream.Aside is { } behind ? torch.cat([stream.Tokens, behind.Stream.Tokens], 1) : stream.Tokens;
    }

    /// <summary>The stream of a place with tokens that were given for it.</summary>
    public TokenBatch Take(int place, Tensor tokens)
    {
        var stream = _streams[place]!;
        return stream.Aside is not { } aside
            ? stream with { Tokens = tokens }
            : stream with
            {
                Tokens = tokens.narrow(1, 0, tokens.shape[1] - aside.Rows.shape[1]),
                Aside = aside with { Stream = aside.Stream with { Tokens = tokens.narrow(1, tokens.shape[1] - aside.Rows.shape[1], aside.Rows.shape[1]) } },
            };
    }

    /// <inheritdoc />
    public void Dispose()
    {
        foreach (var tensors in _owned)
        {
            tensors.ForEach(tensor => tensor.Dispose());
            tensors.Clear();
        }
    }
}
