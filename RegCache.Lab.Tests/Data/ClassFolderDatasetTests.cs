using RegCache.Lab.Data;
using RegCache.Lab.Data.Images;
using RegCache.Lab.Tests.Data.Images;

namespace RegCache.Lab.Tests.Data;

public sealed class ClassFolderDatasetTests : IDisposable
{
    private readonly ScratchFolder _scratch = new();

    public void Dispose() => _scratch.Dispose();

    [Fact]
    public void ClassesAndFilesAreSortedByCharacterCode()
    {
        Add("n02", "b.JPEG");
        Add("n02", "B.jpg");
        Add("n10", "1.png");
        Add("N11", "10.webp");
        Add("N11", "9.jpeg");
        Add("N11", "readme.txt");
        Add(".cache", "x.jpg");
        var dataset = ClassFolderDataset.OpenClasses(_scratch.Root);
        Assert.Equal(["N11", "n02", "n10"], dataset.ClassNames);
        Assert.Equal(["10.webp", "9.jpeg", "B.jpg", "b.JPEG", "1.png"], dataset.Paths.Select(Path.GetFileName));
        Assert.Equal([0, 0, 1, 1, 2], dataset.Labels);
        Assert.Equal(5, dataset.Count);
        Assert.All(dataset.Paths, path => Assert.True(File.Exists(path)));
    }

    [Fact]
    public void FoldersInsideAClassBelongToIt()
    {
        Add("a", "images", "2.jpg");
        Add("a", "1.jpg");
        Add("b", "images", "3.jpg");
        var dataset = ClassFolderDataset.OpenClasses(_scratch.Root);
        Assert.Equal(["1.jpg", "2.jpg", "3.jpg"], dataset.Paths.Select(Path.GetFileName));
        Assert.Equal([0, 0, 1], dataset.Labels);
    }

    [Fact]
    public void AFlatFolderHasNoLabels()
    {
        Add("2.jpg");
        Add("1.jpg");
        var dataset = ClassFolderDataset.Open(_scratch.Root);
        Assert.Equal(["1.jpg", "2.jpg"], dataset.Paths.Select(Path.GetFileName));
        Assert.Empty(dataset.Labels);
        Assert.Empty(dataset.ClassNames);
        AssertRefused("no class folders", () => ClassFolderDataset.OpenClasses(_scratch.Root));
    }

    [Fact]
    public void ACalibrationSetMayHaveClasses()
    {
        Add("a", "1.jpg");
        Assert.Equal([0], ClassFolderDataset.Open(_scratch.Root).Labels);
    }

    [Fact]
    public void AMissingFolderIsRefusedByItsVariable()
    {
        var missing = _scratch.Path("none", "at", "all");
        AssertRefused("IMAGENET_VAL does not exist", () => ClassFolderDataset.OpenClasses(missing, DataVariable.ImageNetValidation));
        AssertRefused(missing, () => ClassFolderDataset.Open(missing));
    }

    [Fact]
    public void FoldersWithoutImagesAreRefused()
    {
        AssertRefused("no JPEG, PNG, WebP, GIF, BMP or PPM", () => ClassFolderDataset.Open(_scratch.Root));
        Add("a", "notes.txt");
        AssertRefused("without a single", () => ClassFolderDataset.Open(_scratch.Root));
        AssertRefused("without a single", () => ClassFolderDataset.OpenClasses(_scratch.Root));
    }

    [Fact]
    public void AClassWithoutImagesKeepsItsLabel()
    {
        Add("a", "1.jpg");
        Add("b", "notes.txt");
        Add("c", "2.jpg");
        var dataset = ClassFolderDataset.OpenClasses(_scratch.Root, expectedClasses: ["a", "b", "c"]);
        Assert.Equal(["a", "b", "c"], dataset.ClassNames);
        Assert.Equal([0, 2], dataset.Labels);
    }

    [Fact]
    public void ImagesBesideFoldersAreRefused()
    {
        Add("a", "1.jpg");
        Add("2.jpg");
        AssertRefused("both images (2.jpg) and folders (a)", () => ClassFolderDataset.Open(_scratch.Root));
    }

    [Fact]
    public void ClassesMustBeTheExpectedOnes()
    {
        Add("a", "1.jpg");
        Add("c", "1.jpg");
        Assert.Equal(2, ClassFolderDataset.OpenClasses(_scratch.Root, expectedClasses: ["a", "c"]).Count);
        AssertRefused("b is missing", () => ClassFolderDataset.OpenClasses(_scratch.Root, expectedClasses: ["a", "b", "c"]));
        AssertRefused("c is not one of them", () => ClassFolderDataset.OpenClasses(_scratch.Root, expectedClasses: ["a"]));
        AssertRefused("sorted", () => ClassFolderDataset.OpenClasses(_scratch.Root, expectedClasses: ["c", "a"]));
    }

    [Fact]
    public void TheFingerprintFollowsNamesLengthsAndContent()
    {
        Add("a", "1.jpg");
        var large = Add("b", "2.jpg");
        File.WriteAllBytes(large, new byte[20000]);
        var original = Fingerprint();
        Assert.Equal(64, original.Length);
        Assert.Equal(original, Fingerprint());

        File.WriteAllBytes(large, new byte[20001]);
        Assert.NotEqual(original, Fingerprint());
        foreach (var changed in new[] { 0, 4095, 19999 })
        {
            var content = new byte[20000];
            content[changed] = 1;
            File.WriteAllBytes(large, content);
            Assert.NotEqual(original, Fingerprint());
        }

        File.WriteAllBytes(large, new byte[20000]);
        Assert.Equal(original, Fingerprint());
        File.Move(large, _scratch.Path("b", "3.jpg"));
        Assert.NotEqual(original, Fingerprint());
    }

    [Fact]
    public void TheFingerprintDoesNotDependOnThePlace()
    {
        Add("here", "a", "1.jpg");
        Add("there", "a", "1.jpg");
        Assert.Equal(
            ClassFolderDataset.Open(_scratch.Path("here", "x")[..^2]).ComputeFingerprint(),
            ClassFolderDataset.Open(_scratch.Path("there", "x")[..^2]).ComputeFingerprint());
    }

    [Fact]
    public void WhatIsLeftOutIsCountedWithItsReason()
    {
        foreach (var name in new[] { "0.JPEG", "1.jpe", "2.jfif", "3.bmp", "4.gif", "5.tif", "6.pam", "7.heic", "notes.txt", ".DS_Store", "._0.JPEG" })
        {
            Add("n01", name);
        }

        Add("loose.jpg");
        Add("classes.txt");
        Add("__MACOSX", "n01", "._0.JPEG");
        Add("lost+found", "x.jpg");
        var dataset = ClassFolderDataset.OpenClasses(_scratch.Root, DataVariable.ImageNetValidation);
        Assert.Equal(["n01"], dataset.ClassNames);
        Assert.Equal(["0.JPEG", "1.jpe", "2.jfif", "3.bmp", "4.gif"], dataset.Paths.Select(Path.GetFileName));
        Assert.Equal(
            [
                "files of other kinds: 2 (classes.txt, n01/notes.txt)",
                "folders that the system left behind: 2 (__MACOSX, lost+found)",
                "images outside class folders: 1 (loose.jpg)",
                "images of kinds that the kit cannot decode: 3 (n01/5.tif, n01/6.pam, n01/7.heic)",
                "names that begin with a dot: 2 (n01/.DS_Store, n01/._0.JPEG)",
            ],
            dataset.Inventory.LeftOut.Select(reason => reason.ToString()));
        Assert.StartsWith($"IMAGENET_VAL {_scratch.Root}: 5 images in 1 class folder. Left out: ", dataset.Inventory.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public void ClassFoldersWithoutImagesAreNamed()
    {
        Add("a", "1.jpg");
        Add("thumbs", "notes.txt");
        var dataset = ClassFolderDataset.OpenClasses(_scratch.Root);
        Assert.Equal(["thumbs"], dataset.EmptyClasses);
        Assert.Contains("thumbs", Assert.Single(dataset.Inventory.Warnings), StringComparison.Ordinal);
        Assert.Equal("2 class folders (without images: thumbs)", dataset.ClassesInWords);
    }

    [Fact]
    public void AFolderOfOtherImagesSaysWhich()
    {
        Add("1.tif");
        AssertRefused("images of kinds that the kit cannot decode: 1 (1.tif)", () => ClassFolderDataset.Open(_scratch.Root));
    }

    [Fact]
    public void LoopsOfLinksAreRefusedAndOtherLinksAreFollowed()
    {
        Add("n01", "1.jpg");
        Add("n02", "2.jpg");
        using var elsewhere = new ScratchFolder();
        elsewhere.Write([], "inner", "3.jpg");
        Directory.CreateSymbolicLink(_scratch.Path("n02", "more"), elsewhere.Root);
        Directory.CreateSymbolicLink(_scratch.Path("n03"), Path.Combine(elsewhere.Root, "inner"));
        Assert.Equal(["1.jpg", "2.jpg", "3.jpg", "3.jpg"], ClassFolderDataset.OpenClasses(_scratch.Root).Paths.Select(Path.GetFileName));

        // From one link to the other and back.
        Directory.CreateSymbolicLink(Path.Combine(elsewhere.Root, "back"), _scratch.Root);
        AssertRefused("is a link to", () => ClassFolderDataset.OpenClasses(_scratch.Root));
        Directory.Delete(Path.Combine(elsewhere.Root, "back"));
        Directory.CreateSymbolicLink(_scratch.Path("n01", "up"), "..");
        AssertRefused("n01/up is a link to", () => ClassFolderDataset.OpenClasses(_scratch.Root));
        AssertRefused("n01/up is a link to", () => ClassFolderDataset.Open(_scratch.Root));
    }

    [Fact]
    public void FilesThatCannotBeOpenedSayWhyOrCountByName()
    {
        Add("1.jpg");
        File.CreateSymbolicLink(_scratch.Path("2.jpg"), "/nowhere/2.jpg");
        File.CreateSymbolicLink(_scratch.Path("3.jpg"), "3.jpg");
        // A name in Latin-1, which .NET can neither write nor remove.
        Shell("cp \"$0/1.jpg\" \"$0/$(printf 'caf\\351.jpg')\"");
        var dataset = ClassFolderDataset.Open(_scratch.Root);
        Assert.Equal(4, dataset.Count);
        AssertRefused("cannot be read", () => dataset.ComputeFingerprint());
        Assert.Equal(dataset.ComputeFingerprint(skipUnreadable: true), dataset.ComputeFingerprint(skipUnreadable: true));
        AssertRefused("link to /nowhere/2.jpg, which does not exist", () => Load("2.jpg"));
        AssertRefused("3.jpg cannot be read", () => Load("3.jpg"));
        AssertRefused("its name is not UTF-8", () => Load("caf"));
        Shell("rm \"$0\"/caf*");

        void Shell(string script)
        {
            using var shell = System.Diagnostics.Process.Start("sh", ["-c", script, _scratch.Root]);
            shell.WaitForExit();
        }

        void Load(string name) => ImageDecoder.Load(dataset.Paths.Single(path => Path.GetFileName(path).StartsWith(name, StringComparison.Ordinal))).Dispose();
    }

    private string Fingerprint() => ClassFolderDataset.Open(_scratch.Root).ComputeFingerprint();

    private string Add(params string[] parts) => _scratch.Copy("jpeg-420.jpg", parts);

    private static void AssertRefused(string part, Action open) =>
        Assert.Contains(part, Assert.Throws<UserException>(open).Message, StringComparison.Ordinal);
}
