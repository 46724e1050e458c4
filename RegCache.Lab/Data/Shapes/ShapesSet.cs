using System.Security.Cryptography;

namespace RegCache.Lab.Data.Shapes;

/// <summary>
/// The generated captioned image set (demo-model.md, section 1): coloured shapes on grey backgrounds, 64 x 64 pixels. Image
/// i of a split depends on the seed, the split and i alone, so every machine and any number of threads make the same bytes.
/// </summary>
public sealed class ShapesSet
{
    private readonly byte[][] _images;
    private readonly ShapesSample[] _samples;

    private ShapesSet(ShapesSplit split, byte[][] images, ShapesSample[] samples) =>
        (Split, _images, _samples) = (split, images, samples);

    /// <summary>The part of the set.</summary>
    public ShapesSplit Split { get; }

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
        _ => 500,
    };

    /// <summary>Makes the first images of a split.</summary>
    /// <param name="split">The part of the set.</param>
    /// <param name="count">How many images; more images begin with the same ones.</param>
    /// <param name="seed">Seed of the whole set; the kit's own results use 0.</param>
    /// <param name="threads">Threads to use; 0 for one a processor core. The bytes do not depend on it.</param>
    /// <param name="cancellation">Stops the work.</param>
    /// <exception cref="UserException">The count is negative.</exception>
    public static ShapesSet Generate(
        ShapesSplit split, int count, long seed = 0, int threads = 0, CancellationToken cancellation = default)
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
                samples[index] = Make(split, index, seed, renderer, images[index]);
                return renderer;
            },
            _ => { });
        return new(split, images, samples);
    }

    /// <summary>The pixels of an image, rows of pixels of red, green and blue, 64 x 64 x 3 bytes.</summary>
    public ReadOnlySpan<byte> Image(int index) => _images[index];

    private static ShapesSample Make(ShapesSplit split, int index, long seed, ShapesRenderer renderer, Span<byte> pixels)
    {
        var stream = CounterRandom.Of(seed, (long)split, index);
        var (layout, words, noise) = (stream.Fork(0), stream.Fork(1), stream.Fork(2));
        var scene = ShapesSceneSampler.Draw(ref layout, split, index);
        renderer.Render(scene, ref noise, pixels);
        var caption = split is ShapesSplit.Train or ShapesSplit.Calibration
            ? ShapesCaption.Random(scene, ref words)
            : ShapesCaption.Full(scene);
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
