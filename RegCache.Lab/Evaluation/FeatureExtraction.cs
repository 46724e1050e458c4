using RegCache.Lab.Data.Images;
using RegCache.Lab.Encoders;
using RegCache.Lab.Encoders.Text;

namespace RegCache.Lab.Evaluation;

/// <summary>
/// What a model makes of images and texts, as arrays to look at or to compare with another implementation: its input, the stream of
/// tokens after any block, features.
/// </summary>
public static class FeatureExtraction
{
    private const string Positions = "image_positions";
    private const string Sizes = "image_sizes";

    /// <summary>Takes arrays of images.</summary>
    /// <param name="tower">The image encoder.</param>
    /// <param name="plan">How it runs.</param>
    /// <param name="reader">The images; those that it leaves out are missing from the arrays.</param>
    /// <param name="request">Which arrays.</param>
    /// <param name="run">Batch size and progress.</param>
    /// <returns>
    /// The arrays, with one row an image: <c>image_pixels</c> [N,3,H,W], <c>image_tokens.block5</c> [N,n,C], <c>image_features</c> [N,E];
    /// where stages have removed or merged tokens, <c>image_positions.block5</c> [N,n] and <c>image_sizes.block5</c> [N,n] as well.
    /// </returns>
    /// <exception cref="UserException">An image cannot be read, there is no such block or token, or memory does not suffice.</exception>
    public static IReadOnlyList<NamedArray> OfImages(
        IImageTower tower, EncoderPlan plan, ImageBatchReader reader, FeatureRequest request, EvaluationRun run)
    {
        var transformer = request.Blocks.Count == 0 ? null : tower.RequireBlocks();
        var blocks = request.BlocksOf(tower.PlannedBlocks, "image encoder");
        var arrays = new ArrayCollector(reader.Items.Count);
        var (device, type) = tower.Placement;
        using var noGradient = torch.no_grad();
        using var runner = new PlanRunner(tower);
        using var progress = run.Progress.Start(run.Title, reader.Items.Count, "images");
        foreach (var batch in reader.Read(run.BatchSize, cancellation: run.Cancellation))
        {
            using var scope = torch.NewDisposeScope();
            var options = reader.Preprocessor.Options;
            var pixels = torch.tensor(batch.Pixels, [batch.Count, 3, options.Height, options.Width]);
            var images = pixels.to(type, device);
            if (request.Inputs)
            {
                arrays.Add("image_pixels", pixels);
            }

            if (transformer is not null)
            {
                var stream = runner.Forward(
                    images, plan, request.Features ? null : blocks.Max() + 1, passed: (block, stream) => AddTokens(arrays, blocks, block, stream, request.Tokens));
                if (request.Features)
                {
                    arrays.Add("image_features", transformer.Project(stream));
                }
            }
            else if (request.Features)
            {
                arrays.Add("image_features", runner.Run(images, plan));
            }

            arrays.Next(batch.Count);
            progress.Report(batch.Indices[^1] + 1);
        }

        return arrays.Finish(request);
    }

    /// <summary>Takes arrays of texts.</summary>
    /// <param name="tower">The text encoder, which always runs as trained.</param>
    /// <param name="tokenizer">Turns texts into ids.</param>
    /// <param name="texts">The texts.</param>
    /// <param name="request">Which arrays.</param>
    /// <param name="run">Batch size and progress.</param>
    /// <returns>
    /// The arrays, with one row a text: <c>text_ids</c> [T,L], <c>text_tokens.block5</c> [T,L,C], <c>text_features</c> [T,E].
    /// </returns>
    /// <exception cref="UserException">There is no such block.</exception>
    public static IReadOnlyList<NamedArray> OfTexts(
        TextTower tower, ITokenizer tokenizer, IReadOnlyList<string> texts, FeatureRequest request, EvaluationRun run)
    {
        var blocks = request.BlocksOf(tower.Blocks.Count, "text encoder");
        var arrays = new ArrayCollector(texts.Count);
        using var noGradient = torch.no_grad();
        using var progress = run.Progress.Start(run.Title, texts.Count, "texts");
        foreach (var batch in texts.Chunk(run.BatchSize))
        {
            run.Cancellation.ThrowIfCancellationRequested();
            using var scope = torch.NewDisposeScope();
            var ids = torch.tensor(tokenizer.EncodeBatch(batch), [batch.Length, tokenizer.ContextLength]);
            if (request.Inputs)
            {
                arrays.Add("text_ids", ids);
            }

            var placed = ids.to(tower.Placement);
            if (blocks.Contains(FeatureRequest.Input))
            {
                arrays.Add("text_tokens.input", tower.Embed(placed).Tokens);
            }

            var probe = blocks.Any(block => block >= 0) ? new OutputProbe(blocks, arrays) : null;
            var features = request.Features || probe is not null ? tower.Encode(placed, probe) : null;
            if (request.Features)
            {
                arrays.Add("text_features", features!);
            }

            arrays.Next(batch.Length);
            progress.Report(arrays.Done);
        }

        return arrays.Finish(request);
    }

    /// <summary>Whether an array only says where tokens come from.</summary>
    internal static bool IsAboutTokens(string name) =>
        name.StartsWith(Positions, StringComparison.Ordinal) || name.StartsWith(Sizes, StringComparison.Ordinal);

    private static void AddTokens(ArrayCollector arrays, ValueList<int> blocks, int block, TokenBatch stream, TokenKinds kinds)
    {
        if (!blocks.Contains(block))
        {
            return;
        }

        using var scope = torch.NewDisposeScope();
        var place = FeatureRequest.NameOf(block);
        arrays.Add($"image_tokens.{place}", Choose(stream.Tokens, stream.Layout, kinds));
        if (stream.Positions is { } positions)
        {
            arrays.Add($"{Positions}.{place}", Choose(positions, stream.Layout, kinds));
        }

        if (stream.Sizes is { } sizes)
        {
            arrays.Add($"{Sizes}.{place}", Choose(sizes, stream.Layout, kinds).squeeze(2));
        }
    }

    private static Tensor Choose(Tensor rows, TokenLayout layout, TokenKinds kinds)
    {
        var (classes, registers, all) = (layout.ClassTokens, layout.RegisterTokens, rows.shape[1]);
        (TokenKinds Kind, long First, long Count)[] parts =
        [
            (TokenKinds.Class, 0, classes),
            (TokenKinds.Registers, classes, registers),
            (TokenKinds.Patches, classes + registers, all - classes - registers),
        ];
        Tensor[] chosen = [.. parts.Where(part => kinds.HasFlag(part.Kind) && part.Count > 0).Select(part => rows.narrow(1, part.First, part.Count))];
        return chosen.Length > 0 ? torch.cat(chosen, 1) : throw new UserException(
            $"--tokens {kinds.ToString().ToLowerInvariant()} leaves nothing of the stream (class {classes}, registers {registers}, patches {all - classes - registers}); choose others. A RegCache prefix is no part of the stream: it joins the keys and values.");
    }

    private sealed class OutputProbe(ValueList<int> blocks, ArrayCollector arrays) : IActivationProbe
    {
        public bool Wants(int block, ActivationKind kind) => kind == ActivationKind.BlockOutput && blocks.Contains(block);

        public void Observe(int block, ActivationKind kind, Tensor value) => arrays.Add($"text_tokens.{FeatureRequest.NameOf(block)}", value);
    }

    /// <summary>Puts the rows of batches into arrays that have their final size from the first batch on.</summary>
    private sealed class ArrayCollector(int capacity)
    {
        private readonly OrderedDictionary<string, Tensor> _arrays = [];

        public int Done { get; private set; }

        public void Add(string name, Tensor rows)
        {
            using var scope = torch.NewDisposeScope();
            var type = rows.dtype == torch.ScalarType.Int64 ? torch.ScalarType.Int64 : torch.ScalarType.Float32;
            if (!_arrays.TryGetValue(name, out var array))
            {
                long[] shape = [capacity, .. rows.shape[1..]];
                RequireMemory(shape.Aggregate(1L, (product, size) => product * size) * (type == torch.ScalarType.Int64 ? sizeof(long) : sizeof(float)));
                _arrays.Add(name, array = torch.empty(shape, dtype: type).DetachFromDisposeScope());
            }

            array.narrow(0, Done, rows.shape[0]).copy_(rows.to(type).cpu());
        }

        public void Next(int count) => Done += count;

        public IReadOnlyList<NamedArray> Finish(FeatureRequest request) =>
        [
            .. _arrays.Select(pair =>
            {
                var values = Done == capacity ? pair.Value : pair.Value.narrow(0, 0, Done);
                return new NamedArray(pair.Key, request.Normalize && pair.Key.EndsWith("_features", StringComparison.Ordinal) ? ZeroShotClassifier.Normalize(values) : values);
            }),
        ];

        private void RequireMemory(long more)
        {
            var bytes = more + _arrays.Values.Sum(array => array.NumberOfElements * array.ElementSize);
            if (bytes > GC.GetGCMemoryInfo().TotalAvailableMemoryBytes)
            {
                throw new UserException(FormattableString.Invariant(
                    $"The arrays take {bytes / 1e9:0.0} GB, more than this machine's memory; take fewer images, --blocks or --tokens at a time."));
            }
        }
    }
}

/// <summary>An array with its name.</summary>
/// <param name="Name">The name, for files.</param>
/// <param name="Values">The values, float32 or int64, on the CPU.</param>
public sealed record NamedArray(string Name, Tensor Values) : ITensorHolder
{
    /// <inheritdoc />
    public IEnumerable<Tensor> Tensors => [Values];
}

/// <summary>Which arrays to take.</summary>
public sealed record FeatureRequest
{
    /// <summary>The place in front of block 0.</summary>
    public const int Input = -1;

    /// <summary>The place behind the last block, however many there are.</summary>
    public const int Last = int.MaxValue;

    /// <summary>The encoders' input: normalised pixels, token ids.</summary>
    public bool Inputs { get; init; }

    /// <summary>Features, pooled and projected.</summary>
    public bool Features { get; init; }

    /// <summary>The stream of tokens after these blocks, 0-based; <see cref="Input"/> and <see cref="Last"/> are places, too.</summary>
    public ValueList<int> Blocks { get; init; } = [];

    /// <summary>Which tokens of images; those of texts are all taken.</summary>
    public TokenKinds Tokens { get; init; } = TokenKinds.All;

    /// <summary>Whether features are divided by their length.</summary>
    public bool Normalize { get; init; }

    /// <summary>The blocks of an encoder, each once, in the order asked for.</summary>
    /// <param name="layers">How many blocks it has.</param>
    /// <param name="encoder">What it is called in messages.</param>
    /// <exception cref="UserException">There is no such block.</exception>
    public ValueList<int> BlocksOf(int layers, string encoder) => [.. Blocks.Select(block =>
        block == Last ? layers - 1
        : block < layers ? block
        : throw new UserException($"--blocks {block}: the {encoder} has {layers} blocks; choose from 0 to {layers - 1}, input or last.")).Distinct()];

    internal static string NameOf(int block) => block == Input ? "input" : $"block{block}";
}

/// <summary>Kinds of tokens of an image.</summary>
[Flags]
public enum TokenKinds
{
    /// <summary>Class (and distillation) tokens.</summary>
    Class = 1,

    /// <summary>Register tokens of the stream.</summary>
    Registers = 2,

    /// <summary>Patch tokens.</summary>
    Patches = 4,

    /// <summary>All of them.</summary>
    All = Class | Registers | Patches,
}
