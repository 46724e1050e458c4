namespace RegCache.Lab.Data.Retrieval;

/// <summary>
/// MS-COCO's captions in the official format (Lin et al. 2014, arXiv:1405.0312; cocodataset.org): images and annotations, which refer to
/// images by number. All captions of an image are taken. Papers often use another split, <see cref="KarpathySplits"/>. Whoever has captions
/// of other images in this format measures on them under the name of their split.
/// </summary>
public static class CocoCaptions
{
    /// <summary>The folder of MS-COCO.</summary>
    public static DataVariable Variable { get; } = new("COCO_DATA_ROOT", "--root", null, "MS-COCO");

    /// <summary>The entry in the list of sets.</summary>
    public static RetrievalFormat Entry { get; } = new(
        "coco",
        "MS-COCO's official captions, or your own in this format: annotations/captions_SPLIT.json, images in images/SPLIT or SPLIT",
        Variable,
        ["val2017", "train2017", "val2014", "train2014"],
        request => Read(request, $"annotations/captions_{request.Split}.json", request.Split))
    {
        TakesAnySplit = true,
        BenchmarkName = split => split switch
        {
            "val2017" or "train2017" => "mscoco_captions2017",
            "val2014" or "train2014" => "mscoco_captions",
            _ => split,
        },
    };

    /// <summary>Reads a file of annotations.</summary>
    /// <param name="request">What is listed.</param>
    /// <param name="annotations">The file, relative to the root.</param>
    /// <param name="images">The folder of the images, in the root or in its folder <c>images</c>.</param>
    /// <param name="only">Numbers of the images that are taken; null: all.</param>
    /// <param name="mostCaptions">The most captions that are taken of an image.</param>
    /// <exception cref="UserException">A file is missing or broken.</exception>
    internal static RetrievalSet Read(
        RetrievalRequest request, string annotations, string images, IReadOnlySet<long>? only = null, int mostCaptions = int.MaxValue)
    {
        var path = request.Require(annotations);
        // Where the folder is missing, its first image is named.
        var folder = request.FindFirst($"images/{images}", images) ?? Path.Combine(request.Root, "images", images);
        var file = AnnotationFile.Read<CaptionFile>(path);
        var builder = new RetrievalSetBuilder(request) { MostCaptions = mostCaptions };
        var names = new Dictionary<long, string>();
        foreach (var (entry, image) in AnnotationFile.Entries($"{path}: images", file.Images))
        {
            builder.RequireNew("listed image", image.Id, entry);
            names.Add(image.Id, Path.Combine(folder, image.FileName));
            if (only?.Contains(image.Id) == false)
            {
                builder.Know(names[image.Id]);
            }
        }

        var described = new HashSet<long>();
        foreach (var (index, (entry, annotation)) in AnnotationFile.Entries($"{path}: annotations", file.Annotations).Index())
        {
            if (annotation.Id is { } id)
            {
                builder.RequireNew("annotation", id, entry);
            }

            if (!names.TryGetValue(annotation.ImageId, out var name))
            {
                builder.LeaveOut("captions whose image is not listed", $"{entry} of image {annotation.ImageId}");
            }
            else if (only?.Contains(annotation.ImageId) != false)
            {
                described.Add(annotation.ImageId);
                builder.Add(entry, name, annotation.Caption, annotation.ImageId, index);
            }
        }

        foreach (var (id, name) in names.Where(image => only?.Contains(image.Key) != false && !described.Contains(image.Key)))
        {
            builder.Know(name);
            builder.LeaveOut("images without a caption", $"{path}: image {id}");
        }

        foreach (var id in only?.Where(id => !names.ContainsKey(id)) ?? [])
        {
            throw new UserException($"{path} has no image {id}, which the list of the split names: take both of one release.");
        }

        return builder.Build(path);
    }

    private sealed record CaptionFile(IReadOnlyList<ListedImage> Images, IReadOnlyList<Annotation> Annotations);

    private sealed record ListedImage(long Id, string FileName);

    private sealed record Annotation(long ImageId, string Caption, long? Id = null);
}
