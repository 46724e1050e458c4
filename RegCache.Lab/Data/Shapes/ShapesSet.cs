using System.Diagnostics;
using System.Security.Cryptography;
using RegCache.Lab.Data.Images;
using RegCache.Lab.Reports;

namespace RegCache.Lab.Data.Shapes;

/// <summary>
/// The generated captioned image set (docs/methods/shapes.md): coloured shapes on grey backgrounds, 64 x 64 pixels. Image
/// i of a split depends on the seed, the split and i alone, so every machine and any number of threads make the same bytes.
/// </summary>
public sealed class ShapesSet
{
    private readonly byte[][] _images;
    private readonly ShapesSample[] _samples;

    private ShapesSet(ShapesSplit split, ShapesCaptionKind captions, byte[][] images, ShapesSample[] samples) =>
        (Split, Captions, _images, _samples) = (split, captions, images, samples);

    /// <summary>The part of the set.</summary>
    public ShapesSplit Split { get; }

    /// <summary>What its captions tell.</summary>
    public ShapesCaptionKind Captions { get; }

    /// <summary>Number of images.</summary>
    public int Count => _samples.Length;

    /// <summary>What the images show, and their captions.</summary>
    public IReadOnlyList<ShapesSample> Samples => _samples;

    /// <summary>SHA-256 of all pixels and captions, in hexadecimal digits.</summary>
    public string Fingerprint => field ??= Hash();

    /// <summary>The usual number of images of a split.</summary>
    public static int DefaultCount(ShapesSplit split) => split switch
    {
        ShapesSplit.Train => 40_000,
        ShapesSplit.Calibration => 512,
        ShapesSplit.Validation => 960,
        ShapesSplit.Test => 1_920,
        ShapesSplit.Retrieval => 500,
        _ => throw new UnreachableException(),
    };

    /// <summary>Makes the first images of a split.</summary>
    /// <param name="split">The part of the set.</param>
    /// <param name="count">How many images; more images begin with the same ones.</param>
    /// <param name="seed">Seed of the whole set; the kit's own results use 0.</param>
    /// <param name="threads">Threads to use; 0 for one a processor core. The bytes do not depend on it.</param>
    /// <param name="captions">What the captions tell; the images do not depend on it.</param>
    /// <param name="cancellation">Stops the work.</param>
    /// <exception cref="UserException">The count is negative.</exception>
    public static ShapesSet Generate(
        ShapesSplit split,
        int count,
        long seed = 0,
        int threads = 0,
        ShapesCaptionKind captions = ShapesCaptionKind.Usual,
        CancellationToken cancellation = default)
    {
        if (count < 0)
        {
            throw new UserException($"--count {count}: the number of images cannot be negative.");
        }

        var images = new byte[count][];
        var samples = new ShapesSample[count];
        var options = new ParallelOptions
        {
            MaxDegreeOfParallelism = threads > 0 ? threads : Environment.ProcessorCount,
            CancellationToken = cancellation,
        };
        Parallel.For(
            0,
            count,
            options,
            () => new ShapesRenderer(),
            (index, _, renderer) =>
            {
                images[index] = new byte[ShapesScene.Bytes];
                samples[index] = Make(split, captions, index, seed, renderer, images[index]);
                return renderer;
            },
            _ => { });
        return new(split, captions, images, samples);
    }

    /// <summary>The pixels of an image, rows of pixels of red, green and blue, 64 x 64 x 3 bytes.</summary>
    public ReadOnlySpan<byte> Image(int index) => _images[index];

    private static ShapesSample Make(
        ShapesSplit split, ShapesCaptionKind captions, int index, long seed, ShapesRenderer renderer, Span<byte> pixels)
    {
        var stream = CounterRandom.Of(seed, (long)split, index);
        var (layout, words, noise) = (stream.Fork(0), stream.Fork(1), stream.Fork(2));
        var scene = ShapesSceneSampler.Draw(ref layout, split, index);
        renderer.Render(scene, ref noise, pixels);
        var caption = captions switch
        {
            ShapesCaptionKind.Long => ShapesCaption.Long(scene),
            ShapesCaptionKind.Usual when split is ShapesSplit.Train or ShapesSplit.Calibration => ShapesCaption.Random(scene, ref words),
            ShapesCaptionKind.Usual => ShapesCaption.Full(scene),
            _ => throw new UnreachableException(),
        };
        return new(scene, caption);
    }

    private string Hash()
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        for (var index = 0; index < Count; index++)
        {
            hash.AppendData(_images[index]);
            hash.AppendData(System.Text.Encoding.UTF8.GetBytes(_samples[index].Caption + "\n"));
        }

        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }
}

/// <summary>The parts of the generated set. No two parts share random numbers.</summary>
public enum ShapesSplit
{
    /// <summary>One or two objects, captions with random optional parts; for training.</summary>
    Train,

    /// <summary>As <see cref="Train"/>; for activation ranges, register extraction and norms.</summary>
    Calibration,

    /// <summary>One object, class i modulo 48, full captions; every choice is made on it.</summary>
    Validation,

    /// <summary>As <see cref="Validation"/>; used for final numbers and for no choice.</summary>
    Test,

    /// <summary>One or two objects, full captions; pairs for retrieval.</summary>
    Retrieval,
}

/// <summary>What the captions of the generated set tell.</summary>
public enum ShapesCaptionKind
{
    /// <summary>One phrase: random parts of the description or all of it, as the split says.</summary>
    Usual,

    /// <summary>Several sentences with every attribute of every object, see <see cref="ShapesCaption.Long"/>.</summary>
    Long,
}

/// <summary>One image of the generated set without its pixels.</summary>
/// <param name="Scene">What it shows.</param>
/// <param name="Caption">Its caption.</param>
public sealed record ShapesSample(ShapesScene Scene, string Caption)
{
    /// <summary>The class of the only object; -1 when there are two.</summary>
    public int Label => Scene.Second is null ? Scene.First.Class : -1;
}

/// <summary>The generated images as the model that is trained on them takes them: bytes / 255, normalised by a mean and a deviation.</summary>
public sealed class ShapesImageSource : IImageSource
{
    private readonly ShapesSet _set;
    private readonly double _mean;
    private readonly double _deviation;

    /// <summary>Presents a set; pixels are converted as they are read.</summary>
    /// <param name="set">The images.</param>
    /// <param name="mean">Subtracted from every channel.</param>
    /// <param name="deviation">Divides every channel.</param>
    public ShapesImageSource(ShapesSet set, double mean = 0.5, double deviation = 0.5)
    {
        (_set, _mean, _deviation) = (set, mean, deviation);
        Labels = set.Samples.All(sample => sample.Label >= 0) ? [.. set.Samples.Select(sample => sample.Label)] : [];
    }

    /// <inheritdoc />
    public int Count => _set.Count;

    /// <inheritdoc />
    public IReadOnlyList<int> Labels { get; }

    /// <inheritdoc />
    public string Fingerprint => $"{_set.Fingerprint}/{_mean}/{_deviation}";

    /// <inheritdoc />
    public IEnumerable<ImageBatch> ReadBatches(int batchSize, int firstBatch = 0, CancellationToken cancellation = default) =>
        this.ReadInTurn(batchSize, firstBatch, cancellation);

    /// <inheritdoc />
    public Tensor Read(IReadOnlyList<int> indices)
    {
        const int pixels = ShapesScene.Side * ShapesScene.Side;
        var values = new float[indices.Count * ShapesScene.Bytes];
        var scale = (float)(1 / (255 * _deviation));
        var shift = (float)(-_mean / _deviation);
        Parallel.For(0, indices.Count, TensorLibrary.OwnThreads, (int position) =>
        {
            var source = _set.Image(indices[position]);
            for (var channel = 0; channel < 3; channel++)
            {
                var plane = values.AsSpan((position * ShapesScene.Bytes) + (channel * pixels), pixels);
                for (var pixel = 0; pixel < pixels; pixel++)
                {
                    plane[pixel] = (source[(3 * pixel) + channel] * scale) + shift;
                }
            }
        });
        return torch.tensor(values, [indices.Count, 3, ShapesScene.Side, ShapesScene.Side], torch.ScalarType.Float32);
    }
}

/// <summary>The generated set as labelled images for any model, and as image-text pairs.</summary>
public sealed class ShapesImages : ImageSet, IPairSource
{
    /// <summary>The name of the generated pairs.</summary>
    public const string PairName = "shapes";

    /// <summary>The name of the same pictures with long captions.</summary>
    public const string LongPairName = "shapes-long";

    private readonly ShapesSet _set;
    private readonly string _split;

    /// <summary>Presents a set.</summary>
    /// <param name="set">The images.</param>
    public ShapesImages(ShapesSet set)
    {
        (_set, _split) = (set, set.Split.ToString().ToLowerInvariant());
        if (set.Samples.All(sample => sample.Label >= 0))
        {
            ClassNames = ShapesVocabulary.Classes;
            Templates = ShapesVocabulary.Templates;
            Labels = [.. set.Samples.Select(sample => sample.Label)];
        }
    }

    /// <summary>The entry in the list of formats; behind the colon there may be how many pictures.</summary>
    public static ImageSetFormat Entry { get; } = new(PairName, "generated pictures of coloured shapes, with captions", _ => false, Open);

    /// <inheritdoc />
    public override int Count => _set.Count;

    /// <inheritdoc />
    public string Fingerprint => _set.Fingerprint;

    /// <inheritdoc cref="ImageSet.Inventory" />
    public override DataInventory Inventory => new(
        $"the generated set, split {_split}", $"{Count} image-text pairs{(_set.Captions == ShapesCaptionKind.Long ? " with long captions" : "")}", [], []);

    /// <summary>
    /// Image-text pairs by name: <c>shapes</c> or <c>shapes-long</c>, perhaps with the split, <c>shapes-long@calibration</c>.
    /// </summary>
    /// <param name="name">The name.</param>
    /// <param name="split">The split where the name tells none.</param>
    /// <param name="count">Number of pairs.</param>
    /// <param name="cancellation">Stops the work.</param>
    /// <returns>The pairs; null where the name is another set's.</returns>
    /// <exception cref="UserException">There is no such split.</exception>
    public static ShapesImages? FindPairs(string name, ShapesSplit split, int count, CancellationToken cancellation = default)
    {
        var captions = name.Split('@')[0] switch
        {
            PairName => ShapesCaptionKind.Usual,
            LongPairName => ShapesCaptionKind.Long,
            _ => (ShapesCaptionKind?)null,
        };
        return captions is not { } kind ? null : new(ShapesSet.Generate(
            name.Split('@', 2) is [_, var part] ? Split(part) : split, count, captions: kind, cancellation: cancellation));
    }

    /// <inheritdoc cref="ImageSet.Name" />
    public override string Name(int index) => $"shapes {_split} {index}";

    /// <inheritdoc />
    public override string SortKey(int index) => $"{index:D9}";

    /// <inheritdoc cref="ImageSet.Load" />
    public override DecodedImage Load(int index) =>
        DecodedImage.FromPixels(ShapesScene.Side, ShapesScene.Side, PixelLayout.Rgb, _set.Image(index));

    /// <inheritdoc />
    public string Caption(int index) => _set.Samples[index].Caption;

    /// <inheritdoc />
    public override string ComputeFingerprint(bool skipUnreadable = false, CancellationToken cancellation = default) => Fingerprint;

    private static ShapesImages Open(ImageSetRequest request)
    {
        var split = Split(request.Split ?? "test");
        var count = request.Path.Length == 0 ? ShapesSet.DefaultCount(split) : MethodOption.ParseNumber("The number of generated pictures behind `shapes:`", request.Path, 1, 10_000_000);
        return new(ShapesSet.Generate(split, count, cancellation: request.Cancellation));
    }
    private static ShapesSplit Split(string name)
    {
        var names = Enum.GetNames<ShapesSplit>().Select(split => split.ToLowerInvariant()).ToList();
        return (ShapesSplit)(names.IndexOf(name) is >= 0 and var index ? index : throw Entry.NoSplit(name, names));
    }
}
