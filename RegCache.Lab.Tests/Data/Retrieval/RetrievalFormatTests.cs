using System.Text;
using System.Text.RegularExpressions;
using RegCache.Lab.Data.Retrieval;

namespace RegCache.Lab.Tests.Data.Retrieval;

public sealed class RetrievalFormatTests : IDisposable
{
    private const string CocoJson = "annotations/captions_val2017.json";
    private readonly TemporaryFolder _folder = new();

    public static TheoryData<string> OnDisk => [.. RetrievalLayouts.All.Keys];

    public void Dispose() => _folder.Dispose();

    [Theory]
    [MemberData(nameof(OnDisk))]
    public void EverySetIsReadFromItsLayout(string name)
    {
        RetrievalLayouts.All[name](_folder.Root, 9);
        using var set = Open(name);
        Assert.Equal(name == "karpathy" ? 8 : 9, set.Count);
        Assert.Equal(Enumerable.Range(0, set.Count), set.Captions.Select(caption => caption.Image).Distinct());
        for (var image = 0; image < set.Count; image++)
        {
            using var picture = set.Load(image);
            Assert.Equal((64, 64), (picture.Width, picture.Height));
        }

        Assert.DoesNotContain(set.Inventory.Warnings, warning => !warning.Contains("fewer than", StringComparison.Ordinal));
        Assert.Equal(64, set.ComputeFingerprint().Length);
        Assert.All(set.Inventory.LeftOut, left => Assert.Equal("captions beyond the first 5 of their image", left.Reason));
    }

    [Fact]
    public void EverySetThatLiesOnDiskIsTestedHere() =>
        Assert.Equal(RetrievalFormats.All.Where(format => format.Variable is not null).Select(format => format.Name), RetrievalLayouts.All.Keys);

    [Fact]
    public void GeneratedPicturesNeedNoFolder()
    {
        using var set = RetrievalFormats.All.Find("shapes").Open();
        Assert.Equal((500, 500), (set.Count, set.Captions.Count));
        AssertRefused("leave out --root", () => RetrievalFormats.All.Find("shapes").Open("/data"));
        using var described = RetrievalFormats.All.Find("shapes-long").Open(split: "calibration");
        Assert.Equal(512, described.Captions.Count);
        Assert.All(described.Captions, caption => Assert.EndsWith(" background.", caption.Text, StringComparison.Ordinal));
    }

    [Fact]
    public void KarpathysFiveThousandCanComeFromTheOfficialFile()
    {
        RetrievalLayouts.All["karpathy"](_folder.Root, 4);
        File.Delete(_folder["annotations", "dataset_coco.json"]);
        RetrievalLayouts.WriteJson(_folder["annotations", "captions_val2014.json"], new
        {
            images = Enumerable.Range(42, 4).Select(id => new { id, file_name = $"COCO_val2014_{id:000000000000}.jpg" }),
            annotations = Enumerable.Range(0, 28).Select(number => new { image_id = 42 + (number % 4), id = number, caption = $"caption {number}" }),
        });
        File.WriteAllText(_folder["annotations", "karpathy_test_ids.txt"], "43\nCOCO_val2014_000000000045.jpg\n");
        using var set = Open("karpathy");
        Assert.Equal([43, 45], Enumerable.Range(0, set.Count).Select(set.ImageId));
        Assert.Equal(10, set.Captions.Count);
        Assert.Equal(["captions beyond the first 5 of their image"], set.Inventory.LeftOut.Select(left => left.Reason));

        File.WriteAllText(_folder["annotations", "karpathy_test_ids.txt"], "43\n99\n");
        AssertRefused("captions_val2014.json has no image 99", () => Open("karpathy"));
        File.WriteAllText(_folder["annotations", "karpathy_test_ids.txt"], "43\n\nnot a number\n");
        AssertRefused("karpathy_test_ids.txt: line 3, 'not a number', is no number of an image", () => Open("karpathy"));
    }

    [Fact]
    public void FlickrsSplitsCanComeFromKarpathysFile()
    {
        RetrievalLayouts.WriteImages(3, index => _folder["flickr30k-images", $"{index}.jpg"]);
        RetrievalLayouts.WriteJson(_folder["dataset_flickr30k.json"], new
        {
            images = Enumerable.Range(0, 3).Select(index => new
            {
                filename = $"{index}.jpg", imgid = index, split = index == 1 ? "val" : "test", sentids = new[] { index },
                sentences = new[] { new { tokens = new[] { "one" }, raw = $"caption {index}", imgid = index, sentid = index } },
            }),
            dataset = "flickr30k",
        });
        using var set = Open("flickr30k");
        Assert.Equal(["caption 0", "caption 2"], set.Captions.Select(caption => caption.Text));
        Assert.Empty(set.Inventory.LeftOut);
    }

    [Fact]
    public void WhatIsLeftOutIsCountedWithItsEntry()
    {
        RetrievalLayouts.All["coco"](_folder.Root, 5);
        File.Copy(_folder["images", "val2017", "000000000139.jpg"], _folder["images", "val2017", "stray.jpg"]);
        File.WriteAllText(_folder["images", "val2017", "notes.txt"], "no image");
        Edit(CocoJson, json => json
            .Replace("\"annotations\":[", "\"annotations\":[{\"image_id\":7,\"id\":1,\"caption\":\"of nothing\"},{\"image_id\":139,\"id\":2,\"caption\":\" \\n\"},", StringComparison.Ordinal)
            .Replace("\"images\":[", "\"images\":[{\"id\":1,\"file_name\":\"alone.jpg\"},", StringComparison.Ordinal));
        using var set = Open("coco");
        Assert.Equal(5, set.Count);
        Assert.Equal(
            [
                ("captions whose image is not listed", 1, $"{_folder[CocoJson]}: annotations[0] of image 7"),
                ("empty captions", 1, $"{_folder[CocoJson]}: annotations[1]"),
                ("images without a caption", 1, $"{_folder[CocoJson]}: image 1"),
                ("images that no caption names", 1, "images/val2017/stray.jpg"),
            ],
            set.Inventory.LeftOut.Select(left => (left.Reason, left.Count, left.Examples[0])));
    }

    [Theory]
    [InlineData("coco", CocoJson, "\"image_id\":139,", "", "annotations\\[.*\\] lacks 'image_id'")]
    [InlineData("coco", CocoJson, "\"image_id\":139,\"id\":900,\"caption\":\"", "\"image_id\":139,\"id\":900,\"caption\":5,\"was\":\"", "annotations\\[.*\\]\\.caption has a value of the wrong kind")]
    [InlineData("coco", CocoJson, "\"image_id\":139,\"id\":900,\"caption\":\"", "\"image_id\":139,\"id\":900,\"caption\":null,\"was\":\"", "annotations\\[.*\\]\\.caption has a null")]
    [InlineData("coco", CocoJson, "\"images\":[", "\"images\":[null,", "null")]
    [InlineData("coco", CocoJson, "\"images\":[", "\"images\":5,\"were\":[", "images has a value of the wrong kind")]
    [InlineData("coco", CocoJson, "\"images\":[", "\"pictures\":[", "lacks 'images'")]
    [InlineData("coco", CocoJson, "\"id\":176}", "\"id\":139}", "images\\[1\\] has the listed image id 139, which .*images\\[0\\] has already")]
    [InlineData("coco", CocoJson, "\"id\":907", "\"id\":900", "annotations\\[\\d+\\] has the annotation id 900, which .*annotations\\[\\d+\\] has already")]
    [InlineData("karpathy", "annotations/dataset_coco.json", "\"split\":\"test\"", "\"split\":\"val\"", "has no image of the split 'test', but of val, restval \\(--split\\)")]
    [InlineData("flickr30k", "flickr30k-images/flickr30k_test.json", "\"caption\":[", "\"caption\":[7,", "\\[0\\]\\.caption\\[0\\] has a value of the wrong kind")]
    [InlineData("flickr30k", "flickr30k-images/flickr30k_test.json", "[{", "{\"images\":[{", "flickr30k_test.json")]
    [InlineData("docci", "annotations/test_annotations.json", "\"image_id\":1,", "\"image_id\":0,", "annotations\\[1\\] has the image id 0, which .*annotations\\[0\\] has already")]
    [InlineData("docci", "annotations/test_annotations.json", "\"caption_id\":2}", "\"caption_id\":1}", "annotations\\[2\\] has the caption id 1, which .*annotations\\[1\\] has already")]
    [InlineData("iiw", "finegrained_annotations.json", "\"image\":\"docci/test_00002.jpg\"", "\"image\":\"docci/test_00001.jpg\"", "annotations\\[1\\] gives .*test_00001.jpg the image id 1, but .*annotations\\[0\\] gives it 0")]
    [InlineData("urban1k", "annotations/annotations.json", "\"image\":\"2.jpg\"", "\"image\":\"20.jpg\"", "annotations\\[1\\] names the image .*20.jpg, which does not exist \\(1 of 4 images are missing\\)")]
    [InlineData("iiw-long", "IIW-400/data.jsonl", "\"image/key\"", "\"key\"", "data.jsonl: line 1 lacks 'image' or 'image/key'")]
    [InlineData("iiw-long", "IIW-400/data.jsonl", "\"IIW\"", "\"text\"", "data.jsonl: line 1 lacks 'IIW'")]
    [InlineData("dci", "densely_captioned_images/splits.json", "\"0.json\"", "\"none.json\"", "train\\[0\\] names .*none.json, which does not exist")]
    [InlineData("dci", "densely_captioned_images/splits.json", "\"valid\"", "\"val\"", "splits.json lacks 'valid'")]
    [InlineData("sharegpt4v-1k", "share4v_sam_10k.json", "\"conversations\":[", "\"conversations\":[],\"were\":[", "\\[0\\] lacks a second turn")]
    public void WhatIsBrokenIsNamedWithItsFileAndEntry(string name, string file, string text, string replacement, string expected)
    {
        RetrievalLayouts.All[name](_folder.Root, 4);
        Edit(file, json =>
        {
            Assert.Contains(text, json, StringComparison.Ordinal);
            return name == "karpathy" ? json.Replace(text, replacement, StringComparison.Ordinal) : new Regex(Regex.Escape(text)).Replace(json, replacement, 1);
        });
        var message = Assert.Throws<UserException>(() => Open(name)).Message;
        Assert.Contains(Path.GetFileName(file), message, StringComparison.Ordinal);
        Assert.Matches(expected, message);
        Assert.DoesNotContain("RegCache.", message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', message);
    }

    [Theory]
    [InlineData("coco", CocoJson)]
    [InlineData("karpathy", "annotations/dataset_coco.json")]
    [InlineData("flickr30k", "flickr30k-images/flickr30k_test.json")]
    [InlineData("docci", "annotations/test_annotations.json")]
    [InlineData("iiw-long", "IIW-400/data.jsonl")]
    [InlineData("dci", "densely_captioned_images/annotations/0.json")]
    [InlineData("sharegpt4v-1k", "share4v_sam_10k.json")]
    public void TruncatedEmptyAndForeignFilesAreNamed(string name, string file)
    {
        RetrievalLayouts.All[name](_folder.Root, 4);
        var path = _folder[file];
        var whole = File.ReadAllBytes(path);
        File.WriteAllBytes(path, whole[..(whole.Length * 2 / 3)]);
        AssertRefused("is no valid JSON at", () => Open(name), path);
        File.WriteAllText(path, "<!DOCTYPE html><html></html>");
        AssertRefused("is no valid JSON at", () => Open(name), path);
        if (name != "iiw-long")
        {
            File.WriteAllText(path, "null");
            AssertRefused(Path.GetFileName(path), () => Open(name));
            File.WriteAllText(path, "");
            AssertRefused("is no valid JSON at", () => Open(name), path);
        }

        // A letter of a caption, in Latin-1.
        var text = Encoding.UTF8.GetString(whole);
        var place = text.LastIndexOf(" on a", StringComparison.Ordinal) + 1;
        File.WriteAllBytes(path, [.. Encoding.UTF8.GetBytes(text[..place]), 0xE9, .. Encoding.UTF8.GetBytes(text[place..])]);
        AssertRefused("is not UTF-8", () => Open(name), path);
        File.Delete(path);
        AssertRefused(Path.GetFileName(path), () => Open(name));
    }

    [Theory]
    [MemberData(nameof(OnDisk))]
    public void AMissingImageIsNamedAndCanBeLeftOut(string name)
    {
        RetrievalLayouts.All[name](_folder.Root, 6);
        using (var set = Open(name))
        {
            File.Delete(set.Name(2));
        }

        var count = name == "karpathy" ? 5 : 6;
        AssertRefused($"which does not exist (1 of {count} images are missing)", () => Open(name));
        using var kept = RetrievalFormats.All.Find(name).Open(_folder.Root, skipBadImages: true);
        Assert.Equal(count, kept.Count);
    }

    [Fact]
    public void AnImageThatComesTwiceIsWarnedOf()
    {
        RetrievalLayouts.All["sharegpt4v-1k"](_folder.Root, 4);
        Edit("share4v_sam_10k.json", json => json.Replace("sam/images/sa_3.jpg", "sam/images/sa_1.jpg", StringComparison.Ordinal));
        using var set = Open("sharegpt4v-1k");
        Assert.Equal((3, 4), (set.Count, set.Captions.Count));
        Assert.Contains(set.Inventory.Warnings, warning => warning.Contains("[3] names", StringComparison.Ordinal) && warning.Contains("[1] does", StringComparison.Ordinal));
    }

    [Fact]
    public void OfALongListOnlyWhatIsNeededIsRead()
    {
        RetrievalLayouts.All["sharegpt4v-1k"](_folder.Root, 1);
        Edit("share4v_sam_10k.json", json =>
        {
            var entry = json.Trim()[1..^1];
            var entries = Enumerable.Range(0, 1000).Select(number => entry.Replace("sa_0.jpg", $"sa_{number}.jpg", StringComparison.Ordinal));
            return $"[{string.Join(',', entries)},{{\"image\":5}},{new string(' ', 1 << 20)} and no JSON";
        });
        using var set = RetrievalFormats.All.Find("sharegpt4v-1k").Open(_folder.Root, skipBadImages: true);
        Assert.Equal(1000, set.Captions.Count);
        Assert.Empty(set.Inventory.Warnings);
    }

    [Fact]
    public void FoldersAndSplitsThatAreMissingAreNamed()
    {
        var format = RetrievalFormats.All.Find("docci");
        AssertRefused("--root (DOCCI) names the folder /nowhere, which does not exist", () => format.Open("/nowhere"));
        AssertRefused("lacks annotations/test_annotations.json", () => format.Open(_folder.Root));
        AssertRefused("The set docci has no split 'train': it must be one of test (--split)", () => format.Open(_folder.Root, "train"));
        AssertRefused("DOCCI_DATA_ROOT (DOCCI) is not set", () => format.Open());
        RetrievalLayouts.All["coco"](_folder.Root, 1);
        AssertRefused("lacks annotations/captions_train2017.json", () => RetrievalFormats.All.Find("coco").Open(_folder.Root, "train2017"));
    }

    private static void AssertRefused(string part, Func<RetrievalSet> open, string path = "")
    {
        var message = Assert.Throws<UserException>(() => open()).Message;
        Assert.Contains(part, message, StringComparison.Ordinal);
        Assert.Contains(path, message, StringComparison.Ordinal);
    }

    private RetrievalSet Open(string name) => RetrievalFormats.All.Find(name).Open(_folder.Root);

    private void Edit(string file, Func<string, string> change) => File.WriteAllText(_folder[file], change(File.ReadAllText(_folder[file])));
}
