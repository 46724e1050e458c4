namespace RegCache.Lab.Data.Retrieval;

/// <summary>
/// ShareGPT4V (Chen et al., ECCV 2024, arXiv:2311.12793): the first 1 000 or 10 000 entries of its list of conversations, whose second
/// turn is the long caption. What follows in the list is not read.
/// </summary>
public static class ShareGpt4V
{
    private const string Layout = "share4v_sam_10k.json or share-captioner_coco_lcs_sam_1246k_1107.json, and the images that it names, '/images' left out of their paths";
    private static readonly string[] _lists = ["share4v_sam_10k.json", "share-captioner_coco_lcs_sam_1246k_1107.json"];
    private static readonly DataVariable _variable = new("SHAREGPT4V_DATA_ROOT", "--root", null, "ShareGPT4V");

    /// <summary>The first 1 000 entries.</summary>
    public static RetrievalFormat Thousand { get; } = new(
        "sharegpt4v-1k", $"the first 1000 of ShareGPT4V: {Layout}", _variable, ["test"], request => Read(request, 1_000));

    /// <summary>The first 10 000 entries.</summary>
    public static RetrievalFormat TenThousand { get; } = new(
        "sharegpt4v-10k", $"the first 10000 of ShareGPT4V: {Layout}", _variable, ["test"], request => Read(request, 10_000));

    private static RetrievalSet Read(RetrievalRequest request, int count)
    {
        var path = request.Require(_lists);
        var builder = new RetrievalSetBuilder(request) { OneEntryAnImage = true };
        var entries = 0;
        foreach (var image in AnnotationFile.ReadArray<Conversation>(path).Take(count))
        {
            var entry = $"{path}: [{entries++}]";
            if (image.Conversations is not [_, { } caption, ..])
            {
                throw new UserException($"{entry} lacks a second turn of its conversation, which is the caption: mend it, or copy or download the file again.");
            }

            builder.Add(entry, Place(request.Root, image.Image), LongCaption.CleanUp(caption.Value));
        }

        if (entries < count)
        {
            builder.Warn($"{path} has {entries} entries, fewer than the {count} of the published set.");
        }

        return builder.Build(path);
    }

    // Downloads by ShareGPT4V's own instructions have the folder `images`; FLAIR's do not.
    private static string Place(string root, string image)
    {
        var without = Path.Combine(root, image.Replace("/images", "", StringComparison.Ordinal));
        var with = Path.Combine(root, image);
        return Directory.Exists(Path.GetDirectoryName(with)) && !Directory.Exists(Path.GetDirectoryName(without)) ? with : without;
    }

    private sealed record Conversation(string Image, IReadOnlyList<Turn> Conversations);

    private sealed record Turn(string Value);
}
