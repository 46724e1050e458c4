using System.Security.Cryptography;
using System.Text;
using RegCache.Lab.Data.Images;
using RegCache.Lab.Reports;

namespace RegCache.Lab.Data.Retrieval;

/// <summary>
/// Images with one or several captions each, for finding the ones by the others (docs/methods/clip.md). Images are in the order in which
/// captions first name them, captions in the order of their file. A set is opened by <see cref="RetrievalFormats"/>.
/// </summary>
public abstract class RetrievalSet : ImageSet
{
    private protected RetrievalSet(IReadOnlyList<RetrievalCaption> captions) => Captions = captions;

    /// <summary>The captions. Every image has at least one.</summary>
    public IReadOnlyList<RetrievalCaption> Captions { get; }

    /// <summary>The number that the annotations give to an image, or its place among the images.</summary>
    public abstract long ImageId(int index);

    /// <summary>SHA-256 of all captions and the images they belong to, in hexadecimal digits.</summary>
    public string CaptionHash()
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (var caption in Captions)
        {
            hash.AppendData(Encoding.UTF8.GetBytes($"{caption.Image} {caption.Text}\n"));
        }

        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }
}

/// <summary>A caption of a <see cref="RetrievalSet"/>.</summary>
/// <param name="Text">The text, as the set's users take it.</param>
/// <param name="Image">Index of its image in the set.</param>
/// <param name="Id">The number that the annotations give to it, or its place among them.</param>
public readonly record struct RetrievalCaption(string Text, int Image, long Id);

/// <summary>An image file of a <see cref="RetrievalSet"/>.</summary>
/// <param name="Path">The file.</param>
/// <param name="Id">The number that the annotations give to it, or its place among the images.</param>
internal readonly record struct RetrievalImage(string Path, long Id);

/// <summary>A set whose images are files; <see cref="RetrievalSetBuilder"/> makes it from annotations.</summary>
internal sealed class RetrievalFiles : RetrievalSet
{
    private readonly string _root;
    private readonly IReadOnlyList<RetrievalImage> _images;

    public RetrievalFiles(string root, IReadOnlyList<RetrievalImage> images, IReadOnlyList<RetrievalCaption> captions, DataInventory inventory)
        : base(captions) => (_root, _images, Inventory) = (root, images, inventory);

    /// <inheritdoc />
    public override int Count => _images.Count;

    /// <inheritdoc />
    public override DataInventory Inventory { get; }

    /// <inheritdoc />
    public override string Name(int index) => _images[index].Path;

    /// <inheritdoc />
    public override long ImageId(int index) => _images[index].Id;

    /// <inheritdoc />
    public override DecodedImage Load(int index) => ImageDecoder.Load(_images[index].Path, Decoding);

    /// <inheritdoc />
    public override string ComputeFingerprint(bool skipUnreadable = false, CancellationToken cancellation = default) =>
        DatasetFingerprint.Compute(_root, [.. _images.Select(image => image.Path)], skipUnreadable, cancellation);
}

/// <summary>Image-text pairs as a set: pairs whose image has the same name are captions of one image.</summary>
public sealed class RetrievalPairs : RetrievalSet
{
    private readonly IPairSource _pairs;
    private readonly List<int> _images;

    /// <summary>Reads all captions.</summary>
    /// <param name="pairs">The pairs, which the set owns from here on.</param>
    /// <exception cref="UserException">A caption cannot be read.</exception>
    public RetrievalPairs(IPairSource pairs)
        : this(pairs, Index(pairs))
    {
    }

    private RetrievalPairs(IPairSource pairs, (List<int> Images, List<RetrievalCaption> Captions) index)
        : base(index.Captions) => (_pairs, _images) = (pairs, index.Images);

    /// <inheritdoc />
    public override int Count => _images.Count;

    /// <inheritdoc />
    public override DataInventory Inventory => _pairs.Inventory;

    /// <inheritdoc />
    public override string Name(int index) => _pairs.Name(_images[index]);

    /// <inheritdoc />
    public override long ImageId(int index) => index;

    /// <inheritdoc />
    public override DecodedImage Load(int index) => _pairs.Load(_images[index]);

    /// <inheritdoc />
    public override string ComputeFingerprint(bool skipUnreadable = false, CancellationToken cancellation = default) => _pairs.Fingerprint;

    /// <inheritdoc />
    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            _pairs.Dispose();
        }

        base.Dispose(disposing);
    }

    private static (List<int> Images, List<RetrievalCaption> Captions) Index(IPairSource pairs)
    {
        var (images, captions, places) = (new List<int>(), new List<RetrievalCaption>(pairs.Count), new Dictionary<string, int>());
        for (var pair = 0; pair < pairs.Count; pair++)
        {
            if (places.TryAdd(pairs.Name(pair), images.Count))
            {
                images.Add(pair);
            }

            captions.Add(new(pairs.Caption(pair), places[pairs.Name(pair)], pair));
        }

        return (images, captions);
    }
}
