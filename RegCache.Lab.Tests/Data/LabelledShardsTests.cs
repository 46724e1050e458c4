using RegCache.Lab.Data;
using RegCache.Lab.Tests.Data.Images;

namespace RegCache.Lab.Tests.Data;

public sealed class LabelledShardsTests : IDisposable
{
    private static readonly byte[] _image = File.ReadAllBytes(Path.Combine(PillowCases.Folder, "jpeg-420.jpg"));
    private readonly ScratchFolder _scratch = new();

    public void Dispose() => _scratch.Dispose();

    [Fact]
    public void ImagesAndLabelsOfShardsAreRead()
    {
        Write("a-0.tar", new TarBytes().Add("0.cls", "2").Add("0.jpg", _image).Add("1.jpg", _image).Add("1.json", "{}").Add("1.cls", "0\n"));
        Write("a-1.tar", new TarBytes().Add("folder/2.x.jpeg", _image).Add("folder/2.png", _image).Add("folder/2.cls.txt", " 1 ").Add("3.webp", _image).Add("3.label", "2"));
        Lines("classnames.txt", "tench", "goldfish", "great white shark");
        using var set = Open(_scratch.Path("a-{0..1}.tar"));
        Assert.Equal([2, 0, 1, 2], set.Labels);
        Assert.Equal(["tench", "goldfish", "great white shark"], set.ClassNames);
        Assert.Null(set.ClassesCalledAfter);
        Assert.Equal($"{_scratch.Path("a-1.tar")}/folder/2.png", set.Name(2));
        Assert.Empty(set.Inventory.Warnings);
        Assert.Equal("4 images in 3 classes", set.Inventory.Found);
        for (var index = 0; index < set.Count; index++)
        {
            using var image = set.Load(index);
            Assert.True(image.Width > 0);
        }

        using var joined = Open($"shards:{_scratch.Path("a-1.tar")}::{_scratch.Path("a-0.tar")}");
        Assert.Equal([1, 2, 2, 0], joined.Labels);
        Assert.NotEqual(set.ComputeFingerprint(), joined.ComputeFingerprint());
    }

    [Fact]
    public void ClipBenchmarksLayoutIsRecognised()
    {
        Benchmark("test", 11);
        Benchmark("train", 1);
        Lines("classnames.txt", [.. Enumerable.Range(0, 11).Select(label => $"class {label}")]);
        Lines("zeroshot_classification_templates.txt", "a photo of a {c}.", "{c}, drawn");
        Assert.True(ImageSetFormats.Recognises(_scratch.Root));
        using var set = Open(_scratch.Root);
        // As they are counted, not as they are sorted.
        Assert.Equal(Enumerable.Range(0, 11), set.Labels);
        Assert.Equal(["a photo of a {}.", "{}, drawn"], set.Templates);
        Assert.Contains($"{Path.DirectorySeparatorChar}test (11 shards)", set.Inventory.Source, StringComparison.Ordinal);
        using var train = Open($"shards@train:{_scratch.Root}");
        Assert.Equal(1, train.Count);
        using var inner = Open(_scratch.Path("test"));
        Assert.Equal((11, 11), (inner.Count, inner.ClassNames.Count));
        AssertRefused("has no split 'val': it must be one of test, train", $"shards@val:{_scratch.Root}");
        AssertRefused("does not name a folder", $"shards@val:{_scratch.Path("test", "0.tar")}");
    }

    [Fact]
    public void ShardsAreCountedByTheirFolder()
    {
        Benchmark("test", 3);
        File.WriteAllText(_scratch.Path("test", "nshards.txt"), "2");
        using (var set = Open(_scratch.Root))
        {
            Assert.Equal(2, set.Count);
            Assert.Contains("shards that nshards.txt does not count: 1 (2.tar)", set.Inventory.ToString(), StringComparison.Ordinal);
        }

        File.WriteAllText(_scratch.Path("test", "nshards.txt"), "3\n");
        File.Delete(_scratch.Path("test", "1.tar"));
        AssertRefused("holds 2 shards where nshards.txt says 3 (1.tar is missing)", _scratch.Root);
        File.WriteAllText(_scratch.Path("test", "nshards.txt"), "many");
        AssertRefused("holds 'many' where the number of shards belongs", _scratch.Root);
    }

    [Fact]
    public void AnArchiveBesideClassFoldersMakesNoShards()
    {
        _scratch.Copy("jpeg-420.jpg", "n01", "0.jpg");
        Write("ILSVRC2012_img_val.tar", new TarBytes().Add("0.jpg", _image));
        Assert.False(ImageSetFormats.Recognises(_scratch.Root));
        using var set = Open(_scratch.Root);
        Assert.Equal(["n01"], set.ClassNames);
    }

    [Fact]
    public void WithoutAListOfClassesTheyAreNumbersAndThatIsSaid()
    {
        Write("0.tar", new TarBytes().Add("0.jpg", _image).Add("0.cls", "0").Add("1.jpg", _image).Add("1.cls", "3"));
        using var set = Open(_scratch.Path("0.tar"));
        Assert.Equal(["0", "1", "2", "3"], set.ClassNames);
        Assert.Equal("their numbers", set.ClassesCalledAfter);
        Assert.Equal("4 classes (without images: 1, 2)", set.ClassesInWords);
        Assert.Contains("taken to be 0 to 3", Assert.Single(set.Inventory.Warnings), StringComparison.Ordinal);
    }

    [Fact]
    public void WhatIsNoLabelledImageIsCounted()
    {
        Write("0.tar", new TarBytes()
            .Add("0.jpg", _image).Add("0.cls", "0").Add("1.jpg", _image).Add("1.txt", "a").Add("2.cls", "0").Add("3.txt", "a").Add("README", "x").Add("4.jpg", "", '2'));
        Lines("classnames.txt", "a");
        using (var set = Open(_scratch.Path("0.tar")))
        {
            Assert.Equal(
                [
                    "images without a label (.cls, .cls.txt, .label): 1 (0.tar/1.jpg)",
                    "labels without an image: 1 (0.tar/2.cls)",
                    "links to other members: 1 (0.tar/4.jpg)",
                    "members whose name has no key in front of a dot: 1 (0.tar/README)",
                    "samples with neither an image nor a label: 1 (0.tar/3.txt)",
                ],
                set.Inventory.LeftOut.Select(reason => reason.ToString()).Order(StringComparer.Ordinal));
            Assert.Contains("results are of the other 1", Assert.Single(set.Inventory.Warnings), StringComparison.Ordinal);
        }

        // Where labels are not needed all images are taken, and a label that some lack is no label.
        using var calibration = ImageSetFormats.Open(_scratch.Path("0.tar"), new());
        Assert.Equal(2, calibration.Count);
        Assert.Empty(calibration.Labels);
    }

    [Theory]
    [InlineData("2", "has the label 2, but classes are numbered from 0 to 1")]
    [InlineData("-1", "has the label -1, but classes are numbered from 0 to 1")]
    [InlineData("tench", "holds 'tench' where a class number belongs")]
    [InlineData("", "holds '' where a class number belongs")]
    public void LabelsThatAreNoClassAreNamed(string label, string expected)
    {
        Lines("classnames.txt", "a", "b");
        Write("0.tar", new TarBytes().Add("0.jpg", _image).Add("0.cls", "0").Add("1.jpg", _image).Add("1.cls", label));
        AssertRefused(expected, _scratch.Path("0.tar"));
        AssertRefused("0.tar/1.cls", _scratch.Path("0.tar"));
    }

    [Fact]
    public void BrokenShardsAreNamed()
    {
        var whole = new TarBytes().Add("0.jpg", _image).Add("0.cls", "0").Add("1.jpg", _image).Add("1.cls", "0").Ended;
        var path = _scratch.Write(whole[..(whole.Length / 2)], "0.tar");
        AssertRefused("is cut off in", path);
        _scratch.Write([], "0.tar");
        AssertRefused("is empty (0 bytes)", path);
        _scratch.Write(new TarBytes().Add("0.jpg", _image).Add("0.txt", "a").Ended, "0.tar");
        AssertRefused("1 images have no label, which is read from members .cls, .cls.txt, .label (there are .txt)", path);
        _scratch.Write(new TarBytes().Add("0.tif", _image).Add("0.cls", "0").Ended, "0.tar");
        AssertRefused("an image is read from members .jpg, .png, .jpeg, .webp (there are .tif)", path);
        AssertRefused($"{_scratch.Path("1.tar")} does not exist", _scratch.Path("{0..1}.tar"));
        AssertRefused("holds no tar shards", $"shards:{Directory.CreateDirectory(_scratch.Path("none")).FullName}");
        Lines("classnames.txt", "a", "", "b");
        AssertRefused("line 2 is empty", path);
        File.WriteAllBytes(_scratch.Path("classnames.txt"), [0xE9, 0x0A]);
        AssertRefused("classnames.txt is not UTF-8", path);
        Lines("classnames.txt", "a");
        Lines("zeroshot_classification_templates.txt", "a photo");
        _scratch.Write(whole, "0.tar");
        AssertRefused("'a photo' has no {c}", path);
    }

    [Fact]
    public void SetsThatCallClassesDifferentlyAreComparedByNumber()
    {
        Write("0.tar", new TarBytes().Add("0.jpg", _image).Add("0.cls", "1"));
        _scratch.Copy("jpeg-420.jpg", "folders", "n01440764", "0.jpg");
        _scratch.Copy("jpeg-420.jpg", "folders", "n01443537", "0.jpg");
        using var folders = Open(_scratch.Path("folders", "x")[..^2]);
        using (var shards = Open(_scratch.Path("0.tar")))
        {
            Assert.Contains("by numbers (0, 1), the other set by WordNet ids (n01440764, n01443537)", shards.RequireClasses(folders.ClassNames), StringComparison.Ordinal);
        }

        Lines("classnames.txt", "tench", "goldfish", "shark");
        using var other = Open(_scratch.Path("0.tar"));
        Assert.Contains("not the 2 expected ones", Assert.Throws<UserException>(() => other.RequireClasses(folders.ClassNames)).Message, StringComparison.Ordinal);
    }

    private void Benchmark(string split, int shards)
    {
        for (var shard = 0; shard < shards; shard++)
        {
            _scratch.Write(new TarBytes().Add("s0.jpg", _image).Add("s0.cls", $"{shard}").Ended, split, $"{shard}.tar");
        }

        File.WriteAllText(_scratch.Path(split, "nshards.txt"), $"{shards}");
    }

    private void Write(string name, TarBytes tar) => _scratch.Write(tar.Ended, name);

    private void Lines(string name, params string[] lines) => File.WriteAllLines(_scratch.Path(name), lines);

    private static ImageSet Open(string address) => ImageSetFormats.Open(address, new(NeedsLabels: true));

    private static void AssertRefused(string expected, string address) =>
        Assert.Contains(expected, Assert.Throws<UserException>(() => Open(address)).Message, StringComparison.Ordinal);
}
