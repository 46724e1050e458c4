namespace RegCache.Lab.Data.Retrieval;

/// <summary>
/// Densely Captioned Images (Urbanek et al., CVPR 2024, arXiv:2312.08578): a file an image, with a short and an extra caption that are
/// joined. FLAIR measures on all three splits together.
/// </summary>
public static class DenselyCaptionedImages
{
    private const string Folder = "densely_captioned_images";

    /// <summary>The entry in the list of sets.</summary>
    public static RetrievalFormat Entry { get; } = new(
        "dci",
        $"Densely Captioned Images: {Folder} with splits.json, annotations/*.json and photos",
        new("DCI_DATA_ROOT", "--root", null, "Densely Captioned Images"),
        ["all", "train", "valid", "test"],
        Read);

    private static RetrievalSet Read(RetrievalRequest request)
    {
        var path = request.Require($"{Folder}/splits.json", "splits.json");
        var folder = Path.GetDirectoryName(path)!;
        var splits = AnnotationFile.Read<SplitFile>(path);
        (string Name, IReadOnlyList<string> Files)[] parts = [("train", splits.Train), ("valid", splits.Valid), ("test", splits.Test)];
        var builder = new RetrievalSetBuilder(request) { OneEntryAnImage = true };
        foreach (var (name, files) in parts)
        {
            foreach (var (listed, file) in AnnotationFile.Entries($"{path}: {name}", files))
            {
                request.Cancellation.ThrowIfCancellationRequested();
                var entry = Path.Combine(folder, "annotations", file);
                if (!File.Exists(entry))
                {
                    throw new UserException($"{listed} names {entry}, which does not exist: put the annotations there.");
                }

                var description = AnnotationFile.Read<Description>(entry);
                var image = Path.Combine(folder, "photos", description.Image);
                if (request.Split == "all" || request.Split == name)
                {
                    builder.Add(entry, image, LongCaption.CleanUp($"{description.ShortCaption}\n{description.ExtraCaption}"));
                }
                else
                {
                    builder.Know(image);
                }
            }
        }

        return builder.Build(path);
    }

    private sealed record SplitFile(IReadOnlyList<string> Train, IReadOnlyList<string> Valid, IReadOnlyList<string> Test);

    private sealed record Description(string Image, string ShortCaption, string? ExtraCaption = null);
}
