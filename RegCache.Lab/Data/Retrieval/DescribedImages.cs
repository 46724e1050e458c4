namespace RegCache.Lab.Data.Retrieval;

/// <summary>
/// Sets whose annotations FLAIR publishes in one form (arXiv:2412.03561): a list of captions with the number and the file of their image.
/// DOCCI (Onoe et al., ECCV 2024) and ImageInWords (Garg et al., EMNLP 2024) are split into sentences; Urban1k (Zhang et al., ECCV 2024)
/// has one long caption an image.
/// </summary>
public static class DescribedImages
{
    /// <summary>DOCCI's test images.</summary>
    public static RetrievalFormat Docci { get; } = new(
        "docci",
        "DOCCI's sentences: annotations/test_annotations.json, images in images",
        new("DOCCI_DATA_ROOT", "--root", null, "DOCCI"),
        ["test"],
        request => Read(request, "images", "annotations/test_annotations.json"));

    /// <summary>Urban1k.</summary>
    public static RetrievalFormat Urban1k { get; } = new(
        "urban1k",
        "Urban1k's long captions: annotations/annotations.json, images in images",
        new("URBAN1K_DATA_ROOT", "--root", null, "Urban1k"),
        ["test"],
        request => Read(request, "images", "annotations/annotations.json"))
    {
        MetricName = "urban_1k",
    };

    /// <summary>ImageInWords by sentences.</summary>
    public static RetrievalFormat ImageInWords { get; } = new(
        "iiw",
        "ImageInWords' sentences: test_annotations.json or finegrained_annotations.json, images in docci, docci_aar and dci",
        ImageInWordsLong.Variable,
        ["test"],
        request => Read(request, "", "test_annotations.json", "finegrained_annotations.json"));

    private static RetrievalSet Read(RetrievalRequest request, string folder, params string[] annotations)
    {
        var path = request.Require(annotations);
        var builder = new RetrievalSetBuilder(request);
        foreach (var (entry, annotation) in AnnotationFile.Entries($"{path}: annotations", AnnotationFile.Read<DescriptionFile>(path).Annotations))
        {
            if (annotation.CaptionId is { } id)
            {
                builder.RequireNew("caption", id, entry);
            }

            builder.Add(entry, Path.Combine(request.Root, folder, annotation.Image), annotation.Caption, annotation.ImageId, annotation.CaptionId);
        }

        return builder.Build(path);
    }

    private sealed record DescriptionFile(IReadOnlyList<Description> Annotations);

    private sealed record Description(long ImageId, string Image, string Caption, long? CaptionId = null);
}
