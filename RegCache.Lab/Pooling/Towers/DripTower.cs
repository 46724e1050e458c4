using RegCache.Lab.Encoders;

namespace RegCache.Lab.Pooling.Towers;

/// <summary>
/// DRIP's image tower (Peng and Kumar 2025, arXiv:2510.25067; docs/methods/pooled-towers.md, "DRIP"): patches without positions or class token pass
/// stacks of layers with relative attention and are pooled between them; the mean of what is left passes a head. Two poolings make H-DRIP, none
/// the baseline. Its layers are not the encoder's, so plans have nothing to act on.
/// </summary>
public sealed class DripTower : IImageTower
{
    private const string Prefix = "visual.";
    private const string Norm = $"{Prefix}down_ln";
    private const double NormEpsilon = 1e-5;

    private readonly PatchEmbedding _patches;
    private readonly Tensor _contentBias, _positionBias, _frequencies;
    private readonly RelativeLayer[][] _stacks;
    private readonly IBoundaryPredictor[] _predictors;
    private readonly LayerNorm? _norm;
    private readonly Linear _head;
    private readonly Tensor? _order;
    private readonly TowerPooling _pooling;

    /// <summary>Builds the tower on the tensors named `visual.*`.</summary>
    /// <param name="config">The architecture, with a pooling of the tower <c>drip</c>.</param>
    /// <param name="weights">The named tensors, float32.</param>
    /// <exception cref="UserException">A tensor is missing, has a wrong shape or is not finite, or the weights are in reduced precision.</exception>
    public DripTower(ClipConfig config, WeightTable weights)
    {
        (Config, Features) = (config.Vision, config.EmbedDim);
        _pooling = Config.Pooling ?? throw new ArgumentException("The configuration has no pooling.", nameof(config));
        var (width, heads, (height, columns)) = (Config.Width, Config.Heads, Config.Patch);
        _patches = new(weights.Take($"{Prefix}patch_embed.weight", width, Config.Channels, height, columns), weights.Take($"{Prefix}patch_embed.bias", width));
        if (_patches.Weight.dtype != torch.ScalarType.Float32)
        {
            throw new UserException("A DRIP tower runs in float32, as its distances need: leave out the reduced precision.");
        }

        (_contentBias, _positionBias) = (weights.Take($"{Prefix}r_w_bias", heads, Config.HeadWidth), weights.Take($"{Prefix}r_r_bias", heads, Config.HeadWidth));
        var device = _patches.Weight.device;
        _frequencies = TensorScope.Keep(TensorScope.Run(() => RelativeScores.Frequencies(width).to(device)));
        _stacks =
        [
            .. _pooling.Layers.Zip(StackNames(_pooling), (layers, name) => Enumerable.Range(0, layers)
                .Select(layer => RelativeLayer.From(weights, $"{Prefix}{name}.{layer}.", width, heads, Config.HeadWidth, Config.MlpWidth)).ToArray()),
        ];
        _predictors = [.. Enumerable.Range(0, _pooling.Poolings).Select(index => TowerPredictors.From(weights, Prefix, _pooling, index, width, Config.MlpWidth))];
        _norm = _pooling.Poolings == 0 ? null : TowerWeights.LayerNorm(weights, Norm, width, NormEpsilon);
        _head = new(weights.Take($"{Prefix}head.weight", Features, width), weights.Take($"{Prefix}head.bias", Features));
        _order = _pooling.Order == PatchOrder.Raster
            ? null
            : TensorScope.Keep(torch.tensor(PatchOrders.Of(_pooling.Order, Config.Grid.Height, Config.Grid.Width), device: device));
    }

    /// <inheritdoc />
    public VisionConfig Config { get; }

    /// <inheritdoc />
    public int Features { get; }

    /// <inheritdoc />
    public int PlannedBlocks => 0;

    /// <inheritdoc />
    public (torch.Device Device, torch.ScalarType Type) Placement => (_patches.Weight.device, _patches.Weight.dtype);

    /// <inheritdoc />
    public UserException NoPlans => new(
        "The model's image encoder is a DRIP tower, whose relative attention has no seams to quantize, merge, delete or look into: run it as it is (--baseline none), or train the tower 'vit'.");

    /// <inheritdoc />
    public Tensor Encode(Tensor images) => TensorScope.Run(() =>
    {
        using var run = Run();
        var current = images.alias();
        foreach (var segment in run.Segments)
        {
            var next = segment(current);
            current.Dispose();
            current = next;
        }

        return current;
    });

    /// <summary>A pass in segments that follow each other: embedding, every layer, every pooling, head.</summary>
    /// <param name="pass">The pass of a training, in which boundaries are drawn; null for evaluation.</param>
    /// <param name="pooled">Shown every pooling, by its number, or null.</param>
    internal DripRun Run(PoolingPass? pass = null, Action<int, PooledTokens>? pooled = null) => new(this, pass, pooled);

    /// <inheritdoc />
    public void Dispose()
    {
        _frequencies.Dispose();
        _order?.Dispose();
    }

    /// <summary>Names and shapes of the tower's tensors.</summary>
    internal static IEnumerable<(string Name, long[] Shape)> Parameters(VisionConfig vision, int features)
    {
        var pooling = vision.Pooling!;
        var (width, attention) = (vision.Width, vision.Heads * vision.HeadWidth);
        return
        [
            ($"{Prefix}r_w_bias", [vision.Heads, vision.HeadWidth]),
            ($"{Prefix}r_r_bias", [vision.Heads, vision.HeadWidth]),
            ($"{Prefix}patch_embed.weight", [width, vision.Channels, vision.Patch.Height, vision.Patch.Width]),
            ($"{Prefix}patch_embed.bias", [width]),
            .. pooling.Layers.Zip(StackNames(pooling)).SelectMany(stack => Enumerable.Range(0, stack.First)
                .SelectMany(layer => RelativeLayer.Parameters($"{Prefix}{stack.Second}.{layer}.", width, attention, vision.MlpWidth))),
            .. TowerPredictors.Parameters(Prefix, pooling, width, vision.MlpWidth),
            .. pooling.Poolings == 0 ? ((string, long[])[])[] : [($"{Norm}.weight", [width]), ($"{Norm}.bias", [width])],
            ($"{Prefix}head.weight", [features, width]),
            ($"{Prefix}head.bias", [features]),
        ];
    }

    private static string[] StackNames(TowerPooling pooling) => pooling.Poolings switch
    {
        0 => ["blocks"],
        1 => ["pre_blocks", "short_blocks"],
        _ => ["pre_blocks", "mid_blocks", "final_blocks"],
    };

    /// <summary>A pass through the tower. What its segments know of each other besides tokens stays until it is disposed of, so that they can run again.</summary>
    internal sealed class DripRun : IDisposable
    {
        private readonly DripTower _tower;
        private readonly PoolingPass? _pass;
        private readonly Action<int, PooledTokens>? _pooled;
        private readonly (RelativeContext Context, Tensor? Valid)[] _stacks;

        public DripRun(DripTower tower, PoolingPass? pass, Action<int, PooledTokens>? pooled)
        {
            (_tower, _pass, _pooled, _stacks) = (tower, pass, pooled, new (RelativeContext, Tensor?)[tower._stacks.Length]);
            Segments =
            [
                Embed,
                .. tower._stacks.SelectMany((layers, stack) => (IEnumerable<Func<Tensor, Tensor>>)
                [
                    .. stack == 0 ? (Func<Tensor, Tensor>[])[] : [tokens => Pool(stack - 1, tokens)],
                    .. layers.Select(layer => (Func<Tensor, Tensor>)(tokens => layer.Apply(tokens, _stacks[stack].Context))),
                ]),
                Finish,
            ];
        }

        /// <summary>The segments: of images [B,3,H,W], then of tokens [T,B,C], to features [B,E].</summary>
        public IReadOnlyList<Func<Tensor, Tensor>> Segments { get; }

        public void Dispose()
        {
            foreach (var stack in Enumerable.Range(0, _stacks.Length))
            {
                Forget(stack);
            }
        }

        private Tensor Embed(Tensor images)
        {
            _tower.Config.RequireSize(images);
            return TensorScope.Run(() =>
            {
                var patches = _tower._patches.Apply(images).flatten(2).permute(2, 0, 1);
                var tokens = _tower._order is { } order ? patches.index_select(0, order) : patches.contiguous();
                Know(0, tokens.shape[0], null);
                return tokens;
            });
        }

        private Tensor Pool(int index, Tensor tokens) => TensorScope.Run(() =>
        {
            var pooling = _tower._pooling;
            var noise = _pass?.Noise(index, tokens.shape[1], tokens.shape[0]);
            var pooled = pooling.RuleEntry.Apply(tokens, _tower._predictors[index], pooling.Options(index), _pass is not null, noise, new()
            {
                Averaged = _tower._norm!.Apply(tokens), Valid = pooling.PoolPadding ? null : _stacks[index].Valid,
            });
            _pooled?.Invoke(index, pooled);
            var filled = pooled.Segments.Sizes.gt(0).transpose(0, 1).contiguous();
            Know(index + 1, pooled.Segments.Length, filled.all().item<bool>() ? null : filled);
            return _pass?.Carry(index, pooled.Rows, pooled, pooling.LossWeight) ?? pooled.Rows;
        });

        private Tensor Finish(Tensor tokens) => TensorScope.Run(() =>
        {
            var valid = _tower._pooling.MeanOverPadding ? null : _stacks[^1].Valid?.transpose(0, 1).unsqueeze(2).to(tokens.dtype);
            return _tower._head.Apply(valid is null ? tokens.mean([0]) : (tokens * valid).sum([0]) / valid.sum([0]));
        });

        private void Know(int stack, long length, Tensor? valid)
        {
            Forget(stack);
            var direction = _tower._pooling.LegacyRelShift ? RelativeDirection.LegacyRelShift : RelativeDirection.Bidirectional;
            var context = RelativeContext.Of(_tower._frequencies, _tower._contentBias, _tower._positionBias, length, direction, _tower._pooling.AttendPadding ? null : valid?.logical_not());
            context.Table.DetachFromDisposeScope();
            context.Mask?.DetachFromDisposeScope();
            _stacks[stack] = (context, valid is null ? null : TensorScope.Keep(valid.alias()));
        }

        // u and v in a context are the tower's own.
        private void Forget(int stack)
        {
            var (context, valid) = _stacks[stack];
            context?.Table.Dispose();
            context?.Mask?.Dispose();
            valid?.Dispose();
            _stacks[stack] = default;
        }
    }
}
