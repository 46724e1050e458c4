using System.Text.Json;
using RegCache.Lab.Data.Shapes;
using SixLabors.ImageSharp;
using SixLabors.ImageSharp.Formats.Jpeg;
using SixLabors.ImageSharp.PixelFormats;

namespace RegCache.Lab.Tests.Data.Retrieval;

/// <summary>
/// Small sets in the layouts in which retrieval sets are published: JPEG files of generated pictures, annotations with all the fields that
/// the published ones have. Images take turns with one, two and three captions where a set allows it.
/// </summary>
internal static class RetrievalLayouts
{
    /// <summary>The sets that lie on disk, by name.</summary>
    public static IReadOnlyDictionary<string, Action<string, int>> All { get; } = new Dictionary<string, Action<string, int>>
    {
        ["coco"] = Coco,
        ["karpathy"] = Karpathy,
        ["flickr30k"] = Flickr30k,
        ["docci"] = (root, count) => Described(root, "annotations/test_annotations.json", "images", "test_{0:00000}.jpg", count, captions: 3),
        ["urban1k"] = (root, count) => Described(root, "annotations/annotations.json", "images", "{0}.jpg", count, captions: 1),
        ["iiw"] = (root, count) => Described(root, "finegrained_annotations.json", "", "docci/test_{0:00000}.jpg", count, captions: 3),
        ["iiw-long"] = ImageInWordsLong,
        ["dci"] = Dci,
        ["sharegpt4v-1k"] = ShareGpt4V,
        ["sharegpt4v-10k"] = ShareGpt4V,
    };

    /// <summary>Captions of an image in these sets.</summary>
    public static IReadOnlyList<string> Captions(string caption, int count) =>
        [.. new[] { caption, $"{caption}, seen from above", $"a picture of {caption} " }.Take(count)];

    /// <summary>Writes JSON.</summary>
    public static void WriteJson<T>(string path, T content)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        File.WriteAllText(path, JsonSerializer.Serialize(content));
    }

    /// <summary>Writes the first pictures as JPEG files.</summary>
    /// <returns>Their captions.</returns>
    public static IReadOnlyList<string> WriteImages(int count, Func<int, string> pathOf)
    {
        var set = ShapesSet.Generate(ShapesSplit.Retrieval, count);
        for (var index = 0; index < count; index++)
        {
            Directory.CreateDirectory(Path.GetDirectoryName(pathOf(index))!);
            using var picture = Image.LoadPixelData<Rgb24>(set.Image(index), ShapesScene.Side, ShapesScene.Side);
            picture.SaveAsJpeg(pathOf(index), new JpegEncoder { Quality = 95 });
        }

        return [.. set.Samples.Select(sample => sample.Caption)];
    }

    private static void Coco(string root, int count)
    {
        static string File(int index) => $"{(index * 37) + 139:000000000000}.jpg";
        var captions = WriteImages(count, index => Path.Combine(root, "images", "val2017", File(index)));
        var annotations = captions.SelectMany((caption, image) => Captions(caption, 1 + (image % 3)).Select(text => (image, text)))
            .Select((pair, number) => new { image_id = (pair.image * 37) + 139, id = 900 + (number * 7), caption = pair.text })
            .OrderBy(annotation => annotation.id % 5);
        WriteJson(Path.Combine(root, "annotations", "captions_val2017.json"), new
        {
            info = new { description = "COCO 2017 Dataset", year = 2017 },
            licenses = new[] { new { url = "http://creativecommons.org/licenses/by-nc/2.0/", id = 2, name = "Attribution-NonCommercial License" } },
            images = captions.Select((_, index) => new
            {
                license = 2,
                file_name = File(index),
                coco_url = $"http://images.cocodataset.org/val2017/{File(index)}",
                height = 64,
                width = 64,
                date_captured = "2013-11-14 17:02:52",
                id = (index * 37) + 139,
            }),
            annotations,
        });
    }

    private static void Karpathy(string root, int count)
    {
        static string File(int index) => $"COCO_val2014_{index + 42:000000000000}.jpg";
        var captions = WriteImages(count, index => Path.Combine(root, "val2014", File(index)));
        var sentence = 0;
        WriteJson(Path.Combine(root, "annotations", "dataset_coco.json"), new
        {
            // The last image belongs to another split.
            images = captions.Select((caption, index) => new
            {
                filepath = "val2014",
                sentids = Array.Empty<int>(),
                filename = File(index),
                imgid = index,
                split = index == count - 1 ? "restval" : "test",
                sentences = Enumerable.Range(0, index == 0 ? 6 : 5)
                    .Select(number => new { tokens = caption.Split(' '), raw = $"{caption} {number}", imgid = index, sentid = sentence++ }).ToArray(),
                cocoid = index + 42,
            }).ToArray(),
            dataset = "coco",
        });
    }

    private static void Flickr30k(string root, int count)
    {
        static string File(int index) => $"{1000092795 + index}.jpg";
        var captions = WriteImages(count, index => Path.Combine(root, "flickr30k-images", File(index)));
        WriteJson(
            Path.Combine(root, "flickr30k-images", "flickr30k_test.json"),
            captions.Select((caption, index) => new { image = $"flickr30k-images/{File(index)}", caption = Captions(caption, 1 + (index % 3)) }));
    }

    private static void Described(string root, string annotations, string images, string file, int count, int captions)
    {
        string File(int index) => string.Format(file, index + 1);
        var texts = WriteImages(count, index => Path.Combine(root, images, File(index)));
        WriteJson(Path.Combine(root, annotations), new
        {
            annotations = texts.SelectMany((text, index) => Captions(text, captions == 1 ? 1 : 1 + (index % captions)).Select(caption => (index, caption)))
                .Select((pair, number) => new { image_id = pair.index, image = File(pair.index), pair.caption, caption_id = number }),
        });
    }

    private static void ImageInWordsLong(string root, int count)
    {
        string[] folders = ["docci", "docci_aar", "dci"];
        string[] lists = ["DOCCI_Test", "IIW-400", "DCI_Test"];
        static string Name(int index) => $"picture_{index:0000}";
        var captions = WriteImages(count, index => Path.Combine(root, folders[index % 3], $"{Name(index)}.jpg"));
        for (var part = 0; part < 3; part++)
        {
            Directory.CreateDirectory(Path.Combine(root, lists[part]));
            File.WriteAllLines(
                Path.Combine(root, lists[part], "data.jsonl"),
                captions.Select((caption, index) => (caption, index)).Where(pair => pair.index % 3 == part).Select(pair => JsonSerializer.Serialize(
                    new Dictionary<string, object>
                    {
                        [part == 1 ? "image/key" : "image"] = Name(pair.index) + (part == 1 ? ".jpg" : ""),
                        ["IIW"] = $"{pair.caption}. And no more.\n",
                        ["metrics/word_count"] = 12,
                    })));
        }
    }

    private static void Dci(string root, int count)
    {
        var folder = Path.Combine(root, "densely_captioned_images");
        var captions = WriteImages(count, index => Path.Combine(folder, "photos", $"sa_{index}.jpg"));
        foreach (var (index, caption) in captions.Index())
        {
            WriteJson(
                Path.Combine(folder, "annotations", $"{index}.json"),
                new { image = $"sa_{index}.jpg", short_caption = $"{caption}.", extra_caption = "And no more. ", mask_data = new { } });
        }

        string[] Files(int part) => [.. Enumerable.Range(0, count).Where(index => index % 3 == part).Select(index => $"{index}.json")];
        WriteJson(Path.Combine(folder, "splits.json"), new { train = Files(0), valid = Files(1), test = Files(2) });
    }

    private static void ShareGpt4V(string root, int count)
    {
        var captions = WriteImages(count, index => Path.Combine(root, "sam", $"sa_{index}.jpg"));
        WriteJson(Path.Combine(root, "share4v_sam_10k.json"), captions.Select((caption, index) => new
        {
            id = $"sa_{index}",
            image = $"sam/images/sa_{index}.jpg",
            conversations = new[] { new { from = "human", value = "<image>\nDescribe it." }, new { from = "gpt", value = $"{caption}.\n\nAnd no more." } },
        }));
    }
}
