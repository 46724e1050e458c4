using System.Text.Json;
using RegCache.Lab.Data.Retrieval;
using RegCache.Lab.Evaluation;

namespace RegCache.Lab.Tests.Data.Retrieval;

/// <summary>Readers, clean-up of captions and ranks against FLAIR's.</summary>
[Trait("Category", "Golden")]
public sealed class RetrievalGoldenTests
{
    private static JsonElement Expected(string file) => JsonDocument.Parse(File.ReadAllText(Goldens.Path("memory-clip", file))).RootElement;

    [Theory]
    [InlineData("coco", "coco", "coco", null)]
    [InlineData("flickr", "flickr30k", "flickr30k-images", "val")]
    [InlineData("flickr", "flickr30k", "flickr30k-images/", "val")]
    [InlineData("flickr", "flickr30k", "", "val")]
    [InlineData("docci", "docci", "docci", null)]
    [InlineData("urban1k", "urban1k", "Urban1k", null)]
    [InlineData("iiw_finegrained", "iiw", "imageinwords", null)]
    [InlineData("iiw_long", "iiw-long", "imageinwords", null)]
    [InlineData("dci", "dci", "dci", null)]
    [InlineData("sharegpt4v", "sharegpt4v-1k", "share4v", null)]
    [InlineData("sharegpt4v", "sharegpt4v-10k", "share4v", null)]
    public void EveryReaderGivesTheRowsOfTheReference(string key, string name, string folder, string? split)
    {
        var root = Goldens.Path("memory-clip", "datasets");
        // The reference has no images, so they are all missing.
        using var set = RetrievalFormats.All.Find(name).Open(Path.Combine(root, folder), split, skipBadImages: true);
        var rows = set.Captions.Select(caption =>
            (set.ImageId(caption.Image), Path.GetRelativePath(root, Path.GetFullPath(set.Name(caption.Image))), caption.Text, caption.Id));
        var expected = Expected("datasets_expected.json").GetProperty("pairs").GetProperty(key).EnumerateArray().Select(row => (
            row.GetProperty("image_id").GetInt64(),
            row.GetProperty("image").GetString()!,
            row.GetProperty("caption").GetString()!,
            row.GetProperty("caption_id").GetInt64()));
        Assert.Equal(expected, rows);
    }

    [Fact]
    public void LongCaptionsAreCleanedUpAsInTheReference()
    {
        foreach (var row in Expected("datasets_expected.json").GetProperty("split_caption").EnumerateArray())
        {
            var text = row.GetProperty("text").GetString()!;
            Assert.Equal(row.GetProperty("parts").EnumerateArray().Select(part => part.GetString()), LongCaption.Split(text));
            Assert.Equal(row.GetProperty("rejoined").GetString(), LongCaption.CleanUp(text));
        }
    }

    [Fact]
    public void RanksAreThoseOfTheReference()
    {
        var tensors = GoldenTensors.Load("memory-clip", "retrieval.safetensors");
        var expected = Expected("retrieval.json");
        var ids = tensors["image_ids_in_loader_order"].data<long>().ToList();
        int[] imageOf = [.. tensors["caption_image_index"].data<long>().Select(image => (int)image)];
        Assert.Equal(
            expected.GetProperty("data_list").EnumerateArray().Select(row => row.GetProperty("image_id").GetInt64()), imageOf.Select(image => ids[image]));
        Assert.Equal(
            expected.GetProperty("txt2img").EnumerateObject().OrderBy(pair => int.Parse(pair.Name)).Select(pair => pair.Value.GetInt32()), imageOf);

        AssertMetrics(expected.GetProperty("metrics"), RetrievalRanks.Of(tensors["image_features"], tensors["text_features"], imageOf));
        var paired = tensors["text_features"].index_select(0, tensors["paired_text_rows"]);
        AssertMetrics(expected.GetProperty("paired_metrics"), RetrievalRanks.Of(tensors["image_features"], paired, [.. Enumerable.Range(0, ids.Count)]));
    }

    private static void AssertMetrics(JsonElement expected, RetrievalRanks ranks)
    {
        var fields = new RetrievalResult("float", ranks).Fields("x");
        Assert.Equal(10, expected.EnumerateObject().Count());
        foreach (var metric in expected.EnumerateObject())
        {
            Assert.Equal(metric.Value.GetDouble(), fields[$"retrieval_x_{metric.Name}"], metric.Name.EndsWith("mean_rank", StringComparison.Ordinal) ? 1e-4 : 1e-12);
        }
    }
}
