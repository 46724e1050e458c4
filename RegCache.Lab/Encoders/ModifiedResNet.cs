using RegCache.Lab.Distributed;

namespace RegCache.Lab.Encoders;

/// <summary>
/// The residual network of CLIP (Radford et al. 2021, arXiv:2103.00020, section 2.4): three convolutions as stem, four stages of bottleneck
/// blocks that shrink the map by averaging instead of by strided convolutions, and attention pooling. It has no stream of tokens, so plans
/// have nothing to act on (docs/methods/clip.md, "ResNets").
/// </summary>
/// <remarks>
/// As long as no weight is trained, every BatchNorm is folded into the convolution before it, and maps lie in memory channel by channel of a
/// pixel, which oneDNN needs not rearrange. Weights that are changed by hand must require gradients when they are.
/// </remarks>
public sealed class ModifiedResNet : IImageTower
{
    /// <summary>Pixels of the image along each axis for one of the last map.</summary>
    public const int Stride = 32;

    private const string Prefix = "visual.";
    private const int Expansion = 4;

    private readonly Network _plain;
    private Network? _folded;

    /// <summary>Builds the tower on the tensors named `visual.*`.</summary>
    /// <param name="config">The architecture.</param>
    /// <param name="weights">The named tensors.</param>
    /// <exception cref="UserException">A tensor is missing, has a wrong shape or is not finite.</exception>
    public ModifiedResNet(ClipConfig config, WeightTable weights)
    {
        (Config, Features) = (config.Vision, config.EmbedDim);
        var channels = ChannelsOf(Config);
        Linear Linear(string name, int output) => new(
            weights.Take($"{Prefix}attnpool.{name}.weight", output, channels), weights.Take($"{Prefix}attnpool.{name}.bias", output));
        _plain = new(
            [.. StemOf(Config).Select(place => place.Build(weights))],
            [.. BlocksOf(Config).Select(block => block.Build(weights))],
            new(
                weights.Take($"{Prefix}attnpool.positional_embedding", Config.Patches + 1, channels),
                Linear("q_proj", channels),
                Linear("k_proj", channels),
                Linear("v_proj", channels),
                Linear("c_proj", Features),
                Config.Heads));
    }

    /// <inheritdoc />
    public VisionConfig Config { get; }

    /// <inheritdoc />
    public int Features { get; }

    /// <inheritdoc />
    public int PlannedBlocks => 0;

    /// <inheritdoc />
    public UserException NoPlans => HasNoTokens();

    /// <inheritdoc />
    public (torch.Device Device, torch.ScalarType Type) Placement => (_plain.Stem[0].Weight.device, _plain.Stem[0].Weight.dtype);

    /// <summary>Whether passes that train leave the running statistics of BatchNorm alone, as where one batch is seen a second time.</summary>
    public bool KeepsStatistics { get; set; }

    /// <summary>The processes that train together: BatchNorm takes mean and variance of the batch of them all.</summary>
    public IProcessGroup Processes { get; set; } = SingleProcess.Instance;

    /// <inheritdoc />
    public Tensor Encode(Tensor images) => TensorScope.Run(() => Running().Pool.Apply(Maps(images)));

    /// <summary>The map that leaves a stage [B,C,h,w], as trained.</summary>
    /// <param name="images">Normalised images [B,3,H,W].</param>
    /// <param name="stages">How many stages to run, 0..4; 0 gives the stem's map.</param>
    public Tensor Maps(Tensor images, int stages = 4) => TensorScope.Run(() =>
    {
        Config.RequireSize(images);
        var network = Running();
        var maps = network.Enter(ReferenceEquals(network, _folded) ? ChannelsLast(images) : images, Pass.Evaluation);
        foreach (var block in network.Blocks.Take(Config.Stages!.Take(stages).Sum()))
        {
            var next = block.Apply(maps, Pass.Evaluation);
            maps.Dispose();
            maps = next;
        }

        return maps;
    });

    /// <summary>
    /// The tower in segments that follow each other, for a training: stem, every block, attention pooling. BatchNorm then takes mean and variance
    /// of the batch, and a segment that is run with gradients moves its running statistics: each batch counts once, however often it is run.
    /// </summary>
    /// <param name="products">Number type of the convolutions' products; null: that of the weights.</param>
    internal IReadOnlyList<Func<Tensor, Tensor>> TrainingSegments(torch.ScalarType? products)
    {
        // What was folded of the weights as they were is of no use afterwards.
        Dispose();
        Pass Now() => new(IsTraining: true, torch.is_grad_enabled() && !KeepsStatistics, products) { Processes = Processes };
        return
        [
            images =>
            {
                Config.RequireSize(images);
                return images.shape[0] * Config.Patches > 1 ? _plain.Enter(images, Now()) : throw new UserException(
                    $"BatchNorm cannot train on one image of {Config.ImageSize.Height} x {Config.ImageSize.Width} pixels, whose last map is a single place; use a larger batch.");
            },
            .. _plain.Blocks.Select(block => (Func<Tensor, Tensor>)(maps => block.Apply(maps, Now()))),
            _plain.Pool.Apply,
        ];
    }

    /// <inheritdoc />
    public void Dispose()
    {
        _folded?.Tensors.ToList().ForEach(tensor => tensor.Dispose());
        _folded = null;
    }

    /// <summary>Names and shapes of the tower's tensors, in the order of PyTorch's state dict.</summary>
    internal static IEnumerable<(string Name, long[] Shape)> Parameters(VisionConfig vision, int features)
    {
        foreach (var place in StemOf(vision).Concat(BlocksOf(vision).SelectMany(block => block.Convolutions)))
        {
            yield return ($"{place.Convolution}.weight", [place.Output, place.Input, place.Kernel, place.Kernel]);
            foreach (var part in BatchNorm.Parts)
            {
                yield return ($"{place.Norm}.{part}", part == BatchNorm.Count ? [] : [place.Output]);
            }
        }

        var channels = ChannelsOf(vision);
        yield return ($"{Prefix}attnpool.positional_embedding", [vision.Patches + 1, channels]);
        foreach (var (name, output) in new[] { ("k_proj", channels), ("q_proj", channels), ("v_proj", channels), ("c_proj", features) })
        {
            yield return ($"{Prefix}attnpool.{name}.weight", [output, channels]);
            yield return ($"{Prefix}attnpool.{name}.bias", [output]);
        }
    }

    /// <summary>Channels of the last map.</summary>
    internal static int ChannelsOf(VisionConfig vision) => Stride * vision.Width;

    /// <summary>What refuses to run a ResNet.</summary>
    public static UserException HasNoTokens() => new(
        "The model's image encoder is a ResNet, which has no stream of tokens to quantize, merge, delete from or look into: run it in float as it is (--baseline none), or use a model with a vision transformer.");

    private static Place[] StemOf(VisionConfig vision) =>
    [
        new($"{Prefix}conv1", $"{Prefix}bn1", vision.Width / 2, 3, 3, Stride: 2),
        new($"{Prefix}conv2", $"{Prefix}bn2", vision.Width / 2, vision.Width / 2, 3),
        new($"{Prefix}conv3", $"{Prefix}bn3", vision.Width, vision.Width / 2, 3),
    ];

    private static IEnumerable<BlockPlace> BlocksOf(VisionConfig vision)
    {
        var input = vision.Width;
        foreach (var (stage, count) in vision.Stages!.Index())
        {
            var planes = vision.Width << stage;
            for (var block = 0; block < count; block++)
            {
                yield return new($"{Prefix}layer{stage + 1}.{block}", input, planes, stage > 0 && block == 0 ? 2 : 1);
                input = planes * Expansion;
            }
        }
    }

    private Network Running() =>
        _plain.Tensors.Any(tensor => tensor.requires_grad) ? _plain : _folded ??= TensorScope.Keep(TensorScope.Run(_plain.Fold));

    private static Tensor ChannelsLast(Tensor maps) => maps.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2);

    private static Tensor Average(Tensor maps, int size) => torch.nn.functional.avg_pool2d(maps, [size, size], [size, size]);

    /// <summary>How a pass treats BatchNorm.</summary>
    /// <param name="IsTraining">Whether it takes mean and variance of the batch instead of the running ones.</param>
    /// <param name="MovesStatistics">Whether it moves the running ones.</param>
    /// <param name="Products">Number type of the convolutions' products; null: that of the weights.</param>
    internal readonly record struct Pass(bool IsTraining, bool MovesStatistics, torch.ScalarType? Products)
    {
        public static Pass Evaluation { get; }

        /// <summary>The processes that share the batch; null for one.</summary>
        public IProcessGroup? Processes { get; init; }
    }

    // Where a convolution and its BatchNorm are found.
    private sealed record Place(string Convolution, string Norm, int Output, int Input, int Kernel, int Stride = 1)
    {
        public NormedConvolution Build(WeightTable weights) =>
            new(weights.Take($"{Convolution}.weight", Output, Input, Kernel, Kernel), null, BatchNorm.Take(weights, Norm, Output), Stride);
    }

    private sealed record BlockPlace(string Name, int Input, int Planes, int Stride)
    {
        private bool HasShortcut => Stride > 1 || Input != Planes * Expansion;

        public IEnumerable<Place> Convolutions => HasShortcut ? [.. Path, Shortcut] : Path;

        private Place[] Path =>
        [
            new($"{Name}.conv1", $"{Name}.bn1", Planes, Input, 1),
            new($"{Name}.conv2", $"{Name}.bn2", Planes, Planes, 3),
            new($"{Name}.conv3", $"{Name}.bn3", Planes * Expansion, Planes, 1),
        ];

        private Place Shortcut => new($"{Name}.downsample.0", $"{Name}.downsample.1", Planes * Expansion, Input, 1);

        public Bottleneck Build(WeightTable weights) =>
            new([.. Path.Select(place => place.Build(weights))], HasShortcut ? Shortcut.Build(weights) : null, Stride);
    }

    private sealed record Network(NormedConvolution[] Stem, Bottleneck[] Blocks, AttentionPool Pool) : ITensorHolder
    {
        public IEnumerable<Tensor> Tensors => Stem.Concat(Blocks.SelectMany(block => block.Convolutions)).SelectMany(convolution => convolution.Tensors);

        public Tensor Enter(Tensor images, Pass pass) => TensorScope.Run(() =>
            Average(Stem.Aggregate(images, (maps, convolution) => convolution.Apply(maps, pass).relu_()), 2));

        public Network Fold() => new([.. Stem.Select(convolution => convolution.Fold())], [.. Blocks.Select(block => block.Fold())], Pool);
    }

    // Three convolutions, and the input beside them; where the map shrinks, both are averaged.
    private sealed record Bottleneck(NormedConvolution[] Path, NormedConvolution? Shortcut, int Stride)
    {
        public IEnumerable<NormedConvolution> Convolutions => Shortcut is null ? Path : [.. Path, Shortcut];

        public Tensor Apply(Tensor maps, Pass pass) => TensorScope.Run(() =>
        {
            using var narrow = Path[0].Apply(maps, pass).relu_();
            var wide = Path[1].Apply(narrow, pass).relu_();
            var result = Path[2].Apply(Stride > 1 ? Average(wide, Stride) : wide, pass);
            var beside = Shortcut?.Apply(Stride > 1 ? Average(maps, Stride) : maps, pass) ?? maps;
            return result.add_(beside).relu_();
        });

        public Bottleneck Fold() => new([.. Path.Select(convolution => convolution.Fold())], Shortcut?.Fold(), Stride);
    }

    private sealed record NormedConvolution(Tensor Weight, Tensor? Bias, BatchNorm? Norm, int Stride)
    {
        public IEnumerable<Tensor> Tensors => Bias is null ? [Weight] : [Weight, Bias];

        public Tensor Apply(Tensor maps, Pass pass) => TensorScope.Run(() =>
        {
            var padding = Weight.shape[^1] / 2;
            var type = pass.Products ?? Weight.dtype;
            var products = torch.nn.functional.conv2d(maps.to(type), Weight.to(type), Bias, [Stride, Stride], [padding, padding]).to(maps.dtype);
            return Norm?.Apply(products, pass) ?? products;
        });

        public NormedConvolution Fold()
        {
            var (weight, bias) = TensorScope.Run(() =>
            {
                var (gain, offset) = Norm!.AsGainAndOffset();
                return (ChannelsLast(Weight.to(gain.dtype) * gain.view(-1, 1, 1, 1)).to(Weight.dtype), offset.to(Weight.dtype));
            });
            return new(weight, bias, null, Stride);
        }
    }

    /// <summary>
    /// Attention of the mean over all places of a map: <c>f = c(softmax(q(m) k(X)^T / sqrt(d)) v(X))</c> for each head, X being m and all places with
    /// their positions added. As there is one query, keys and values are projected after the sums over places, which the products allow; the
    /// key's bias adds the same to all logits of a query and drops out.
    /// </summary>
    private sealed record AttentionPool(Tensor Positions, Linear Query, Linear Key, Linear Value, Linear Out, int Heads)
    {
        public Tensor Apply(Tensor maps) => TensorScope.Run(() =>
        {
            var places = maps.flatten(2).transpose(1, 2);
            var tokens = torch.cat([places.mean([1], keepdim: true), places], 1) + Positions.to(maps.dtype);
            var (images, channels) = (tokens.shape[0], tokens.shape[2]);
            var width = channels / Heads;
            // Heads come first: [H,B,d] times [H,d,C].
            Tensor ByHead(Tensor weight) => weight.view(Heads, width, channels);
            var query = Query.Apply(tokens.select(1, 0)).view(images, Heads, width).transpose(0, 1) * (1 / Math.Sqrt(width));
            var logits = query.matmul(ByHead(Key.Weight)).transpose(0, 1).matmul(tokens.transpose(1, 2));
            var mixed = logits.softmax(-1).matmul(tokens);
            var values = mixed.transpose(0, 1).matmul(ByHead(Value.Weight).transpose(1, 2)).transpose(0, 1).reshape(images, channels) + Value.Bias!;
            return Out.Apply(values);
        });
    }
}

/// <summary>
/// Batch normalisation over images and places (Ioffe and Szegedy 2015, arXiv:1502.03167): a training normalises by mean and variance of the batch and
/// moves the running ones, <c>r = 0.9 r + 0.1 b</c>; afterwards these are used, and the whole is a gain and an offset for each channel.
/// </summary>
/// <param name="Weight">Gain [C].</param>
/// <param name="Bias">Offset [C].</param>
/// <param name="Mean">Running mean [C].</param>
/// <param name="Variance">Running variance [C].</param>
/// <param name="Batches">How many batches have moved them, [] int64.</param>
internal sealed record BatchNorm(Tensor Weight, Tensor Bias, Tensor Mean, Tensor Variance, Tensor Batches)
{
    /// <summary>The name of the number of batches.</summary>
    public const string Count = "num_batches_tracked";

    /// <summary>The name of the running variance.</summary>
    public const string RunningVariance = "running_var";

    /// <summary>Added to variances.</summary>
    public const double Epsilon = 1e-5;

    /// <summary>Share of a batch's mean and variance in the running ones.</summary>
    public const double Momentum = 0.1;

    private const string RunningMean = "running_mean";

    /// <summary>The names of its tensors, in PyTorch's order.</summary>
    public static IReadOnlyList<string> Parts { get; } = ["weight", "bias", RunningMean, RunningVariance, Count];

    /// <summary>Whether a tensor is a running statistic, which no gradient changes, by its name in a checkpoint.</summary>
    public static bool IsStatistic(string name) => Parts.Skip(2).Any(part => name.EndsWith($".{part}", StringComparison.Ordinal));

    /// <summary>Whether a tensor of a CLIP model belongs to a BatchNorm, by its name in a checkpoint.</summary>
    public static bool Has(string name) => name.Contains(".bn", StringComparison.Ordinal) || name.Contains(".downsample.1.", StringComparison.Ordinal);

    /// <summary>Takes its tensors from a table.</summary>
    public static BatchNorm Take(WeightTable weights, string name, int channels) => new(
        weights.Take($"{name}.weight", channels),
        weights.Take($"{name}.bias", channels),
        weights.Take($"{name}.{RunningMean}", channels),
        weights.Take($"{name}.{RunningVariance}", channels),
        weights.Take($"{name}.{Count}"));

    /// <summary>Normalises maps [B,C,h,w], in the number type of the norm.</summary>
    public Tensor Apply(Tensor maps, ModifiedResNet.Pass pass) => TensorScope.Run(() =>
    {
        var isMoved = pass is { IsTraining: true, MovesStatistics: true };
        if (isMoved)
        {
            using var noGradient = torch.no_grad();
            Batches.add_(1);
        }

        if (pass is { IsTraining: true, Processes: { Size: > 1 } processes })
        {
            return AmongProcesses(maps.to(Weight.dtype), processes, isMoved).to(maps.dtype);
        }

        var usesRunning = isMoved || !pass.IsTraining;
        return torch.nn.functional.batch_norm(
            maps.to(Weight.dtype), usesRunning ? Mean : null, usesRunning ? Variance : null, Weight, Bias, pass.IsTraining, Momentum, Epsilon).to(maps.dtype);
    });

    private Tensor AmongProcesses(Tensor maps, IProcessGroup processes, bool movesStatistics)
    {
        long[] axes = [0, 2, 3];
        var count = processes.SumCounts(maps.NumberOfElements / maps.shape[1])[0];
        Tensor Across(Tensor channels) => channels.view(1, -1, 1, 1);
        var mean = processes.SumWithGradient(maps.sum(axes)) / count;
        var centred = maps - Across(mean);
        var variance = processes.SumWithGradient(centred.square().sum(axes)) / count;
        if (movesStatistics)
        {
            using var noGradient = torch.no_grad();
            Mean.mul_(1 - Momentum).add_(mean.detach(), Momentum);
            Variance.mul_(1 - Momentum).add_(variance.detach(), Momentum * count / (count - 1.0));
        }

        return (centred * Across((variance + Epsilon).rsqrt() * Weight)) + Across(Bias);
    }

    /// <summary>What it does with the running statistics: a gain and an offset for each channel [C].</summary>
    public (Tensor Gain, Tensor Offset) AsGainAndOffset() => TensorScope.Run(() =>
    {
        var gain = Weight / (Variance + Epsilon).sqrt();
        return (gain, Bias - (Mean * gain));
    });
}
