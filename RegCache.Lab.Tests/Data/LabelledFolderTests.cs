using RegCache.Lab.Data;
using RegCache.Lab.Tests.Data.Images;

namespace RegCache.Lab.Tests.Data;

public sealed class LabelledFolderTests : IDisposable
{
    private const string Kaggle = "LOC_val_solution.csv";
    private readonly ScratchFolder _scratch = new();

    public LabelledFolderTests()
    {
        foreach (var number in new[] { 1, 2, 3, 4 })
        {
            _scratch.Copy("jpeg-420.jpg", "val", $"ILSVRC2012_val_{number:D8}.JPEG");
        }
    }

    private string Folder => _scratch.Path("val", "x")[..^2];

    public void Dispose() => _scratch.Dispose();

    [Fact]
    public void CaffesListNumbersTheClassesOfItsSynsets()
    {
        Lines("val.txt", Row(1, 1), Row(2, 0), Row(3, 1), Row(4, 2));
        Lines("synsets.txt", "n01440764", "n01443537", "n01484850");
        // By class and then by name, as class folders would be.
        AssertIs(Folder, [(2, 0), (1, 1), (3, 1), (4, 2)], "n01440764", "n01443537", "n01484850");
        AssertIs(_scratch.Path("val.txt"), [(2, 0), (1, 1), (3, 1), (4, 2)], "n01440764", "n01443537", "n01484850");
        AssertIs($"labels:{Folder}::{_scratch.Path("val.txt")}", [(2, 0), (1, 1), (3, 1), (4, 2)], "n01440764", "n01443537", "n01484850");
        using var set = Open(Folder);
        Assert.Empty(set.Inventory.Warnings);
        Assert.Empty(set.Inventory.LeftOut);
        Assert.Contains("labels from", set.Inventory.Found, StringComparison.Ordinal);
        using var image = set.Load(0);
        Assert.True(image.Width > 0);
    }

    [Fact]
    public void BothLayoutsOfASetGiveTheSameImagesInTheSameOrder()
    {
        Lines("val.txt", Row(1, 1), Row(2, 0), Row(3, 1), Row(4, 0));
        Lines("synsets.txt", "n01440764", "n01443537");
        foreach (var (number, wnid) in new[] { (1, "n01443537"), (2, "n01440764"), (3, "n01443537"), (4, "n01440764") })
        {
            _scratch.Copy("jpeg-420.jpg", "folders", wnid, $"ILSVRC2012_val_{number:D8}.JPEG");
        }

        using var flat = Open(Folder);
        using var folders = Open(_scratch.Path("folders", "x")[..^2]);
        Assert.Equal(folders.ClassNames, flat.ClassNames);
        Assert.Equal(folders.Labels, flat.Labels);
        Assert.Equal(
            Enumerable.Range(0, 4).Select(index => Path.GetFileName(folders.Name(index))), Enumerable.Range(0, 4).Select(index => Path.GetFileName(flat.Name(index))));
    }

    [Theory]
    [InlineData("labels.csv", "image,label\nILSVRC2012_val_00000002.JPEG,n02\nILSVRC2012_val_00000001.JPEG,n01\nval/ILSVRC2012_val_00000003,n02\n\"ILSVRC2012_val_00000004\",n02\n")]
    [InlineData("labels.csv", "ILSVRC2012_val_00000001.JPEG,n01\nILSVRC2012_val_00000002.JPEG,n02\nILSVRC2012_val_00000003.JPEG,n02\nILSVRC2012_val_00000004.JPEG,n02")]
    [InlineData("labels.txt", "ILSVRC2012_val_00000001.JPEG,n01\r\nILSVRC2012_val_00000002.JPEG, n02\r\nILSVRC2012_val_00000003.JPEG n02\r\n\r\nILSVRC2012_val_00000004.JPEG\tn02\r\n")]
    [InlineData("labels.tsv", "id\twnid\twords\nILSVRC2012_val_00000001\tn01\ta\nILSVRC2012_val_00000002\tn02\tb\nILSVRC2012_val_00000003\tn02\tb\nILSVRC2012_val_00000004\tn02\tb\n")]
    [InlineData(Kaggle, "ImageId,PredictionString\nILSVRC2012_val_00000001,n01 85 1 499 272\nILSVRC2012_val_00000002,n02 1 2 3 4 n02 5 6 7 8 \nILSVRC2012_val_00000003,n02 1 2 3 4\nILSVRC2012_val_00000004,n02 1 2 3 4\n")]
    public void LabelsMayBeIdsInAnyOfTheTables(string name, string content)
    {
        File.WriteAllText(_scratch.Path(name), content);
        AssertIs(Folder, [(1, 0), (2, 1), (3, 1), (4, 1)], "n01", "n02");
        using var set = Open(Folder);
        Assert.Contains("taken to be the 2 that occur, sorted", Assert.Single(set.Inventory.Warnings), StringComparison.Ordinal);
    }

    [Fact]
    public void KagglesTableIsFoundAboveItsImages()
    {
        var deep = Directory.CreateDirectory(_scratch.Path("ILSVRC", "Data", "CLS-LOC", "val")).FullName;
        Directory.Delete(deep);
        Directory.Move(Folder, deep);
        File.WriteAllText(_scratch.Path(Kaggle), "ImageId,PredictionString\nILSVRC2012_val_00000001,n01440764 1 2 3 4\n");
        Lines("LOC_synset_mapping.txt", "n01440764 tench, Tinca tinca", "n01443537 goldfish, Carassius auratus");
        AssertIs(deep, [(1, 0)], "n01440764", "n01443537");
        AssertIs(_scratch.Path(Kaggle), [(1, 0)], "n01440764", "n01443537");
    }

    [Fact]
    public void ListsOfClassesMayBeNamesOrJson()
    {
        Lines("val.txt", Row(1, 1), Row(2, 0), Row(3, 1), Row(4, 1));
        File.WriteAllText(_scratch.Path("imagenet_class_index.json"), """{"0": ["n01440764", "tench"], "1": ["n01443537", "goldfish"]}""");
        AssertIs(Folder, [(2, 0), (1, 1), (3, 1), (4, 1)], "n01440764", "n01443537");
        Lines("classnames.txt", "tench", "goldfish");
        using (var set = Open(Folder))
        {
            Assert.Equal(["tench", "goldfish"], set.ClassNames);
            Assert.Null(set.ClassesCalledAfter);
        }

        Lines("synset_words.txt", "n01443537 goldfish", "n01440764 tench");
        AssertRefused("name the classes differently", Folder);
    }

    [Fact]
    public void NumbersWithoutAListAreTheClassesAndThatIsSaid()
    {
        Lines("val.txt", Row(1, 3), Row(2, 1), Row(3, 1), Row(4, 1));
        using var set = Open(Folder);
        Assert.Equal(["0", "1", "2", "3"], set.ClassNames);
        Assert.Equal("their numbers", set.ClassesCalledAfter);
        Assert.Contains("taken to be 0 to 3", set.Inventory.Warnings[0], StringComparison.Ordinal);
        Assert.Contains("if " + _scratch.Path("val.txt") + " counts from 1, all labels are wrong by one", set.Inventory.Warnings[1], StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("-1")]
    [InlineData("3.0")]
    [InlineData("99999999999")]
    public void NumbersThatCannotBeLabelsAreNotTakenForNames(string label)
    {
        Lines("val.txt", Row(1, 0), $"ILSVRC2012_val_00000002.JPEG {label}", Row(3, 10));
        AssertRefused($"val.txt has the label {label} in row 2, but classes are numbered from 0", Folder);
    }

    [Fact]
    public void MissingAndSurplusImagesAreCountedAndTold()
    {
        Lines("val.txt", Row(1, 0), Row(7, 0), Row(2, 0), Row(8, 0));
        Lines("synsets.txt", "n01440764");
        File.WriteAllText(Path.Combine(Folder, ".DS_Store"), "");
        File.WriteAllText(Path.Combine(Folder, "notes.md"), "");
        using var set = Open(Folder);
        Assert.Equal(2, set.Count);
        Assert.Equal(
            [
                "files of other kinds: 1 (notes.md)",
                "images without a label: 2 (ILSVRC2012_val_00000003.JPEG, ILSVRC2012_val_00000004.JPEG)",
                "labels of images that are not there: 2 (ILSVRC2012_val_00000007.JPEG, ILSVRC2012_val_00000008.JPEG)",
                "names that begin with a dot: 1 (.DS_Store)",
            ],
            set.Inventory.LeftOut.Select(reason => reason.ToString()).Order(StringComparer.Ordinal));
        Assert.Equal(
            [
                $"2 images that {_scratch.Path("val.txt")} labels are not in {Folder} (ILSVRC2012_val_00000007.JPEG, ...): results are of the other 2.",
                $"2 images of {Folder} have no label in {_scratch.Path("val.txt")} and are left out.",
            ],
            set.Inventory.Warnings);
    }

    [Fact]
    public void TheNumbersOfTheDevelopmentKitAreRefusedWithTheReason()
    {
        Lines("ILSVRC2012_validation_ground_truth.txt", "490", "361", "171", "822");
        AssertRefused("not in the order of the WordNet ids", Folder);
        AssertRefused("not in the order of the WordNet ids", $"labels:{Folder}::{_scratch.Path("ILSVRC2012_validation_ground_truth.txt")}");
        AssertRefused("LOC_val_solution.csv", Folder);
    }

    [Fact]
    public void AListThatNumbersItsRowsIsNoTableOfLabels()
    {
        for (var number = 5; number <= 1001; number++)
        {
            _scratch.Write([], "val", $"ILSVRC2012_val_{number:D8}.JPEG");
        }

        Lines("val.txt", [.. Enumerable.Range(1, 1001).Select(number => $"ILSVRC2012_val_{number:D8} {number}")]);
        AssertRefused("gives every image the number of its row", Folder);
    }

    [Theory]
    [InlineData("val.txt", "ILSVRC2012_val_00000001.JPEG 0\nILSVRC2012_val_00000002.JPEG 0\nILSVRC2012_val_00000001.JPEG 0\n", "labels ILSVRC2012_val_00000001.JPEG again in row 3")]
    [InlineData("val.txt", "ILSVRC2012_val_00000001.JPEG 0\nILSVRC2012_val_00000002.JPEG 2\n", "has the label 2 in row 2, but classes are numbered from 0 to 1")]
    [InlineData("val.txt", "ILSVRC2012_val_00000001.JPEG n01440764\nILSVRC2012_val_00000002.JPEG n09\n", "has the label 'n09' in row 2, which")]
    [InlineData("val.txt", "ILSVRC2012_val_00000001.JPEG n01440764\nILSVRC2012_val_00000002.JPEG 0\n", "has the label '0' in row 2, which")]
    [InlineData("val.txt", "ILSVRC2012_val_00000001.JPEG 0\nILSVRC2012_val_00000002.JPEG\n", "has 'ILSVRC2012_val_00000002.JPEG' in row 2, where an image and a label belong")]
    [InlineData("val.txt", "1.jpg 0\n2.jpg 0\n", "None of the 2 images that")]
    [InlineData("val.txt", "", "is empty")]
    [InlineData("labels.csv", "image,label\nILSVRC2012_val_00000001.JPEG,\n", "has no label in row 2")]
    [InlineData("labels.csv", "file,category_label_x,label\n\"ILSVRC2012_val_00000001.JPEG,1,n01\n", "the quotes of row")]
    [InlineData("labels.csv", "photo,label\nx,0\n", "has no column of images but `photo`, `label`")]
    [InlineData("labels.csv", "ILSVRC2012_val_00000001.JPEG,n01440764,5\n", "has 3 columns and no header")]
    [InlineData(Kaggle, "ImageId,PredictionString\nILSVRC2012_val_00000001,n01440764 1 2 3 4 n01443537 1 2 3 4\n", "has objects of 2 classes in row 2")]
    public void BrokenTablesAreNamedWithTheRow(string name, string content, string expected)
    {
        Lines("synsets.txt", "n01440764", "n01443537");
        File.WriteAllText(_scratch.Path(name), content);
        AssertRefused(expected, Folder);
        AssertRefused(name, Folder);
    }

    [Fact]
    public void ATableThatIsNotUTF8IsRefused()
    {
        File.WriteAllBytes(_scratch.Path("val.txt"), [.. "ILSVRC2012_val_00000001.JPEG caf"u8, 0xE9, 0x0A]);
        AssertRefused("val.txt is not UTF-8", Folder);
    }

    [Fact]
    public void WhatIsAmbiguousIsRefusedWithTheChoices()
    {
        AssertRefused("there is no table of labels (val.txt, labels.csv, labels.txt, labels.tsv, LOC_val_solution.csv)", Folder);
        Lines("val.txt", Row(1, 0));
        Lines("labels.txt", Row(1, 0));
        AssertRefused($"name one, like labels:{Folder}::{_scratch.Path("val.txt")}", Folder);
        _scratch.Copy("jpeg-420.jpg", "images", "ILSVRC2012_val_00000001.JPEG");
        AssertRefused("may label the images of", _scratch.Path("val.txt"));
        AssertRefused("does not exist", $"labels:{_scratch.Path("none.txt")}");
        _scratch.Copy("jpeg-420.jpg", "val", "ILSVRC2012_val_00000001.png");
        Lines("val.txt", "ILSVRC2012_val_00000001 0");
        AssertRefused("may be ILSVRC2012_val_00000001.JPEG or ILSVRC2012_val_00000001.png", $"labels:{Folder}::{_scratch.Path("val.txt")}");
    }

    [Fact]
    public void AListOfClassesIsCheckedToo()
    {
        Lines("val.txt", Row(1, 0));
        Lines("synsets.txt", "n01440764", "n01440764");
        AssertRefused("synsets.txt lists the class n01440764 twice", Folder);
        File.Delete(_scratch.Path("synsets.txt"));
        foreach (var (json, expected) in new[] { ("[]", "must be a JSON object"), ("""{"0": "tench"}""", "must be an array"), ("{}", "lists no class"), ("{", "is not valid JSON") })
        {
            File.WriteAllText(_scratch.Path("imagenet_class_index.json"), json);
            AssertRefused(expected, Folder);
            AssertRefused("imagenet_class_index.json", Folder);
        }
    }

    [Fact]
    public void CalibrationNeedsNoTable()
    {
        using var set = ImageSetFormats.Open(Folder, new());
        Assert.Equal(4, set.Count);
        Assert.Empty(set.Labels);
    }

    [Fact]
    public void TheFingerprintFollowsTheLabels()
    {
        Lines("synsets.txt", "n01440764", "n01443537");
        Lines("val.txt", Row(1, 0), Row(2, 0), Row(3, 1), Row(4, 1));
        var before = Fingerprint();
        Assert.Equal(before, Fingerprint());
        Lines("val.txt", Row(1, 0), Row(2, 1), Row(3, 1), Row(4, 1));
        Assert.NotEqual(before, Fingerprint());

        string Fingerprint()
        {
            using var set = Open(Folder);
            return set.ComputeFingerprint();
        }
    }

    private static string Row(int number, int label) => $"ILSVRC2012_val_{number:D8}.JPEG {label}";

    private void Lines(string name, params string[] lines) => File.WriteAllLines(_scratch.Path(name), lines);

    private static ImageSet Open(string address) => ImageSetFormats.Open(address, new(NeedsLabels: true));

    private static void AssertIs(string address, (int Number, int Label)[] expected, params string[] classes)
    {
        using var set = Open(address);
        Assert.Equal(expected.Select(image => $"ILSVRC2012_val_{image.Number:D8}.JPEG"), Enumerable.Range(0, set.Count).Select(index => Path.GetFileName(set.Name(index))));
        Assert.Equal(expected.Select(image => image.Label), set.Labels);
        Assert.Equal(classes, set.ClassNames);
    }

    private static void AssertRefused(string expected, string address) =>
        Assert.Contains(expected, Assert.Throws<UserException>(() => Open(address)).Message, StringComparison.Ordinal);
}
