namespace RegCache.Lab.Data.Retrieval;

/// <summary>
/// The splits of MS-COCO 2014 and Flickr30k by Karpathy and Fei-Fei (CVPR 2015, arXiv:1412.2306), on whose test splits of 5 000 and 1 000
/// images most papers measure. The first five captions of an image are taken; some of MS-COCO's images have more.
/// </summary>
public static class KarpathySplits
{
    private const int Captions = 5;
    private const string OfficialAnnotations = "annotations/captions_val2014.json";
    private static readonly string[] _idLists = ["annotations/karpathy_test_ids.txt", "karpathy_test_ids.txt"];

    /// <summary>The entry in the list of sets.</summary>
    public static RetrievalFormat Entry { get; } = new(
        "karpathy",
        "the 5k test split of most papers on MS-COCO: annotations/dataset_coco.json (or captions_val2014.json with karpathy_test_ids.txt), images in val2014 or images/val2014",
        CocoCaptions.Variable,
        ["test", "val", "train", "restval"],
        Read)
    {
        MetricName = "coco_karpathy",
        BenchmarkName = _ => "mscoco_captions",
    };

    /// <summary>Reads the splits of a set.</summary>
    /// <param name="request">What is listed.</param>
    /// <param name="path">The file of the splits.</param>
    /// <exception cref="UserException">It is broken, or has no such split.</exception>
    internal static RetrievalSet Read(RetrievalRequest request, string path)
    {
        var builder = new RetrievalSetBuilder(request) { MostCaptions = Captions };
        var splits = new HashSet<string>();
        var folders = new Dictionary<string, string>();
        foreach (var (entry, image) in AnnotationFile.Entries($"{path}: images", AnnotationFile.Read<SplitFile>(path).Images))
        {
            splits.Add(image.Split);
            if (!folders.TryGetValue(image.Filepath ?? "", out var folder))
            {
                string[] places = image.Filepath is { Length: > 0 } given ? [given, $"images/{given}"] : ["flickr30k-images", "images", "."];
                // Where the folder is missing, its first image is named.
                folders.Add(image.Filepath ?? "", folder = request.FindFirst(places) ?? Path.Combine(request.Root, places[0]));
            }

            var name = Path.Combine(folder, image.Filename);
            if (image.Split != request.Split)
            {
                builder.Know(name);
                continue;
            }

            if (image.Sentences.Count == 0)
            {
                builder.Know(name);
                builder.LeaveOut("images without a caption", entry);
            }

            foreach (var (place, sentence) in AnnotationFile.Entries($"{entry}.sentences", image.Sentences))
            {
                builder.Add(place, name, sentence.Raw, image.Cocoid ?? image.Imgid, sentence.Sentid);
            }
        }

        return splits.Contains(request.Split)
            ? builder.Build(path)
            : throw new UserException(
                $"{path} has no image of the split '{request.Split}'{(splits.Count == 0 ? "" : $", but of {string.Join(", ", splits)} (--split)")}: check that it is the right file.");
    }

    private static RetrievalSet Read(RetrievalRequest request)
    {
        string[] files = ["annotations/dataset_coco.json", "dataset_coco.json", "annotations/dataset_flickr30k.json", "dataset_flickr30k.json"];
        if (request.FindFirst(files) is { } splits)
        {
            return Read(request, splits);
        }

        if (request.Split != Entry.Splits[0] || request.FindFirst(OfficialAnnotations) is null)
        {
            request.Require(files);
        }

        return CocoCaptions.Read(request, OfficialAnnotations, "val2014", ReadIds(request.Require(_idLists)), Captions);
    }

    private static HashSet<long> ReadIds(string path)
    {
        var ids = new HashSet<long>();
        foreach (var (line, text) in AnnotationFile.ReadText(path))
        {
            // COCO's file names end with the number: COCO_val2014_000000391895.jpg.
            var name = Path.GetFileNameWithoutExtension(text.Trim());
            if (!long.TryParse(name[(name.LastIndexOf('_') + 1)..], out var id) || !ids.Add(id))
            {
                throw new UserException($"{path}: line {line}, '{text.Trim()}', is no number of an image, or is there twice: mend the list.");
            }
        }

        return ids;
    }

    private sealed record SplitFile(IReadOnlyList<SplitImage> Images);

    private sealed record SplitImage(
        string Filename, string Split, IReadOnlyList<Sentence> Sentences, string? Filepath = null, long? Cocoid = null, long? Imgid = null);

    private sealed record Sentence(string Raw, long? Sentid = null);
}
