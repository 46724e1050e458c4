using RegCache.Lab.Data;
using RegCache.Lab.Tests.Data.Images;

namespace RegCache.Lab.Tests.Data;

public sealed class ClassFolderDatasetTests : IDisposable
{
    private readonly ScratchFolder _scratch = new();

    public void Dispose() => _scratch.Dispose();

    [Fact]
    public void Classes_and_files_are_sorted_by_character_code()
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
    public void Folders_inside_a_class_belong_to_it()
    {
        Add("a", "images", "2.jpg");
        Add("a", "1.jpg");
        Add("b", "images", "3.jpg");
        var dataset = ClassFolderDataset.OpenClasses(_scratch.Root);
        Assert.Equal(["1.jpg", "2.jpg", "3.jpg"], dataset.Paths.Select(Path.GetFileName));
        Assert.Equal([0, 0, 1], dataset.Labels);
    }

    [Fact]
    public void A_flat_folder_has_no_labels()
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
    public void A_calibration_set_may_have_classes()
    {
        Add("a", "1.jpg");
        Assert.Equal([0], ClassFolderDataset.Open(_scratch.Root).Labels);
    }

    [Fact]
    public void A_missing_folder_is_refused_by_its_variable()
    {
        var missing = _scratch.Path("none", "at", "all");
        AssertRefused("IMAGENET_VAL does not exist", () => ClassFolderDataset.OpenClasses(missing, DataVariable.ImageNetValidation));
        AssertRefused(missing, () => ClassFolderDataset.Open(missing));
    }

    [Fact]
    public void Folders_without_images_are_refused()
    {
        AssertRefused("no JPEG, PNG or WebP", () => ClassFolderDataset.Open(_scratch.Root));
        Add("a", "notes.txt");
        AssertRefused("without a single", () => ClassFolderDataset.Open(_scratch.Root));
        AssertRefused("without a single", () => ClassFolderDataset.OpenClasses(_scratch.Root));
    }

    [Fact]
    public void A_class_without_images_keeps_its_label()
    {
        Add("a", "1.jpg");
        Add("b", "notes.txt");
        Add("c", "2.jpg");
        var dataset = ClassFolderDataset.OpenClasses(_scratch.Root, expectedClasses: ["a", "b", "c"]);
        Assert.Equal(["a", "b", "c"], dataset.ClassNames);
        Assert.Equal([0, 2], dataset.Labels);
    }

    [Fact]
    public void Images_beside_folders_are_refused()
    {
        Add("a", "1.jpg");
        Add("2.jpg");
        AssertRefused("both images (2.jpg) and folders (a)", () => ClassFolderDataset.Open(_scratch.Root));
    }

    [Fact]
    public void Classes_must_be_the_expected_ones()
    {
        Add("a", "1.jpg");
        Add("c", "1.jpg");
        Assert.Equal(2, ClassFolderDataset.OpenClasses(_scratch.Root, expectedClasses: ["a", "c"]).Count);
        AssertRefused("b is missing", () => ClassFolderDataset.OpenClasses(_scratch.Root, expectedClasses: ["a", "b", "c"]));
        AssertRefused("c is not one of them", () => ClassFolderDataset.OpenClasses(_scratch.Root, expectedClasses: ["a"]));
        AssertRefused("sorted", () => ClassFolderDataset.OpenClasses(_scratch.Root, expectedClasses: ["c", "a"]));
    }

    [Fact]
    public void The_fingerprint_follows_names_lengths_and_content()
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
    public void The_fingerprint_does_not_depend_on_the_place()
    {
        Add("here", "a", "1.jpg");
        Add("there", "a", "1.jpg");
        Assert.Equal(
            ClassFolderDataset.Open(_scratch.Path("here", "x")[..^2]).ComputeFingerprint(),
            ClassFolderDataset.Open(_scratch.Path("there", "x")[..^2]).ComputeFingerprint());
    }

    private string Fingerprint() => ClassFolderDataset.Open(_scratch.Root).ComputeFingerprint();

    private string Add(params string[] parts) => _scratch.Copy("jpeg-420.jpg", parts);

    private static void AssertRefused(string part, Action open) =>
        Assert.Contains(part, Assert.Throws<UserException>(open).Message, StringComparison.Ordinal);
}
