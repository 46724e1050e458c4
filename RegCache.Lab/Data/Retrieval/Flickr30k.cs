namespace RegCache.Lab.Data.Retrieval;

/// <summary>
/// Flickr30k (Young et al., TACL 2014) with the validation and test lists that FLAIR publishes (arXiv:2412.03561): an image with its five
/// captions an entry; paths begin above the folder of the images. Karpathy's file of the splits will do, too.
/// </summary>
public static class Flickr30k
{
    private const string Images = "flickr30k-images";

    /// <summary>The entry in the list of sets.</summary>
    public static RetrievalFormat Entry { get; } = new(
        "flickr30k",
        "Flickr30k: flickr30k_test.json and flickr30k_val.json among the images in flickr30k-images, or dataset_flickr30k.json beside that folder",
        new("FLICKR30K_DATA_ROOT", "--root", null, "Flickr30k"),
        ["test", "val", "train"],
        Read)
    {
        MetricName = "flickr",
    };

    private static RetrievalSet Read(RetrievalRequest request)
    {
        var list = $"flickr30k_{request.Split}.json";
        string[] places = [list, $"{Images}/{list}"];
        if (request.FindFirst(places) is null && request.FindFirst("dataset_flickr30k.json", "annotations/dataset_flickr30k.json") is { } splits)
        {
            return KarpathySplits.Read(request, splits);
        }

        var path = request.Require(places);
        var above = Path.GetDirectoryName(Path.GetDirectoryName(Path.GetFullPath(path)))!;
        var builder = new RetrievalSetBuilder(request);
        var entries = new Dictionary<string, string>();
        foreach (var (index, image) in AnnotationFile.ReadArray<CaptionedImage>(path).Index())
        {
            var entry = $"{path}: [{index}]";
            if (!entries.TryAdd(image.Image, entry))
            {
                builder.Warn($"{entry} names {image.Image} again, as {entries[image.Image]} does: its captions count as further ones of that image.");
            }

            if (image.Caption.Count == 0)
            {
                builder.Know(Path.Combine(above, image.Image));
                builder.LeaveOut("images without a caption", entry);
            }

            foreach (var (place, caption) in AnnotationFile.Entries($"{entry}.caption", image.Caption))
            {
                builder.Add(place, Path.Combine(above, image.Image), caption);
            }
        }

        return builder.Build(path);
    }

    private sealed record CaptionedImage(string Image, IReadOnlyList<string> Caption);
}
