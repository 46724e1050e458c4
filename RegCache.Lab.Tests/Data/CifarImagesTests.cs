using RegCache.Lab.Data;
using RegCache.Lab.Data.Images;
using RegCache.Lab.Tests.Data.Images;
using RegCache.Lab.Tests.Encoders.Checkpoints;
using Op = RegCache.Lab.Encoders.Checkpoints.PickleOpcode;

namespace RegCache.Lab.Tests.Data;

public sealed class CifarImagesTests : IDisposable
{
    private readonly ScratchFolder _scratch = new();

    public void Dispose() => _scratch.Dispose();

    [Fact]
    public void TheBinaryVersionIsReadRecordByRecord()
    {
        var folder = CifarFiles.WriteBinary10(_scratch.Root);
        using var test = Open($"cifar:{folder}");
        Assert.Equal(CifarFiles.Names10, test.ClassNames);
        Assert.Equal([5, 6, 7], test.Labels);
        AssertImages(test, 15);
        Assert.EndsWith("test_batch.bin, record 2", test.Name(2), StringComparison.Ordinal);

        using var train = Open($"cifar@train:{folder}");
        Assert.Equal([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1, 2, 3, 4], train.Labels);
        AssertImages(train, 0);
        Assert.EndsWith("data_batch_2.bin, record 0", train.Name(3), StringComparison.Ordinal);
        Assert.Contains("CIFAR-10 train", train.Inventory.Source, StringComparison.Ordinal);
        Assert.Equal("15 images in 10 classes", train.Inventory.Found);
    }

    [Fact]
    public void AFolderIsRecognisedAloneAndTheOneAboveItToo()
    {
        var folder = CifarFiles.WriteBinary10(_scratch.Root);
        foreach (var path in new[] { folder, _scratch.Root })
        {
            Assert.True(ImageSetFormats.Recognises(path));
            using var set = Open(path);
            Assert.Equal(3, set.Count);
        }
    }

    [Fact]
    public void CIFAR100HasFineAndCoarseLabels()
    {
        var folder = CifarFiles.WriteBinary100(_scratch.Root);
        using var fine = Open(folder);
        using var coarse = Open($"cifar@test-coarse:{folder}");
        using var train = Open($"cifar@train:{folder}");
        Assert.Equal([55, 1, 7], fine.Labels);
        Assert.Equal([0, 1, 11], coarse.Labels);
        Assert.Equal([30, 99], train.Labels);
        Assert.Equal((100, 20), (fine.ClassNames.Count, coarse.ClassNames.Count));
        // A prompt has no underscores.
        Assert.Equal(("fine 55", "coarse 11"), (fine.ClassNames[55], coarse.ClassNames[11]));
        AssertImages(fine, 2);
        AssertImages(coarse, 2);
        Assert.NotEqual(fine.ComputeFingerprint(), coarse.ComputeFingerprint());
    }

    // A long array stays in the file, a short one does not.
    [Theory]
    [InlineData(3)]
    [InlineData(30)]
    public void ThePythonVersionIsRead(int count)
    {
        var folder = WritePython10(CifarFiles.Pickle(5, ("labels", Cycle(count))));
        using var set = Open(folder);
        Assert.Equal(CifarFiles.Names10, set.ClassNames);
        Assert.Equal(Cycle(count), set.Labels);
        AssertImages(set, 5);
    }

    [Theory]
    [InlineData(3)]
    [InlineData(30)]
    public void ArraysInFortransOrderAreRead(int count)
    {
        var folder = WritePython10(CifarFiles.Pickle(CifarFiles.Python2, CifarFiles.Array(5, count, isFortran: true), ("labels", Cycle(count))));
        using var set = Open(folder);
        AssertImages(set, 5);
    }

    [Fact]
    public void FilesThatPython3SavedAgainAreRead()
    {
        var folder = WritePython10(CifarFiles.Pickle(CifarFiles.Python3, CifarFiles.ArrayOfPython3(5, 30), ("labels", Cycle(30))));
        using var set = Open(folder);
        Assert.Equal(Cycle(30), set.Labels);
        AssertImages(set, 5);
    }

    [Fact]
    public void CIFAR100ByPythonHasBothLabels()
    {
        _scratch.Write(CifarFiles.Pickle(0, ("fine_labels", [9, 99]), ("coarse_labels", [3, 19])), "cifar-100-python", "test");
        _scratch.Write(
            CifarFiles.PickledNames(
                ("fine_label_names", Enumerable.Range(0, 100).Select(label => $"fine_{label}")),
                ("coarse_label_names", Enumerable.Range(0, 20).Select(label => $"coarse_{label}"))),
            "cifar-100-python", "meta");
        using var fine = Open(_scratch.Root);
        using var coarse = Open($"cifar@test-coarse:{_scratch.Root}");
        Assert.Equal([9, 99], fine.Labels);
        Assert.Equal([3, 19], coarse.Labels);
        Assert.Equal("coarse 19", coarse.ClassNames[19]);
        AssertImages(fine, 0);
    }

    [Fact]
    public void TheSameImagesHaveTheSamePixelsInBothVersions()
    {
        using var binary = Open(CifarFiles.WriteBinary10(_scratch.Root));
        using var python = Open(WritePython10(CifarFiles.Pickle(15, ("labels", [5, 6, 7]))));
        var preprocessor = new ImagePreprocessor(new(16, 16));
        var (some, same) = (new ImageSetSource(binary, preprocessor), new ImageSetSource(python, preprocessor));
        Assert.Equal(binary.Labels, python.Labels);
        Assert.True(some.Read([0, 1, 2]).Equals(same.Read([0, 1, 2])));
    }

    [Fact]
    public void FilesThatAreCutOffAreNamedWithTheRecord()
    {
        var folder = CifarFiles.WriteBinary10(_scratch.Root);
        var path = Path.Combine(folder, "test_batch.bin");
        var whole = File.ReadAllBytes(path);
        File.WriteAllBytes(path, whole[..^100]);
        AssertRefused("test_batch.bin is cut off in record 2", folder);
        File.WriteAllBytes(path, []);
        AssertRefused("test_batch.bin is empty", folder);

        // While it is used, too.
        File.WriteAllBytes(path, whole);
        using var set = Open(folder);
        File.WriteAllBytes(path, whole[..4000]);
        Assert.Contains("test_batch.bin is cut off in record 1", Assert.Throws<UserException>(() => set.Load(1)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void LabelsOutOfRangeAreNamedWithTheRecord()
    {
        var folder = CifarFiles.WriteBinary10(_scratch.Root);
        File.WriteAllBytes(Path.Combine(folder, "data_batch_3.bin"), CifarFiles.Records(0, [1], [10]));
        AssertRefused("data_batch_3.bin: record 1 has the label 10, but CIFAR-10 has the classes 0 to 9", $"cifar@train:{folder}");
    }

    [Fact]
    public void WhatIsMissingIsNamed()
    {
        var folder = CifarFiles.WriteBinary10(_scratch.Root);
        File.Delete(Path.Combine(folder, "data_batch_4.bin"));
        AssertRefused("has no data_batch_4.bin", $"cifar@train:{folder}");
        File.Delete(Path.Combine(folder, "batches.meta.txt"));
        AssertRefused("has no batches.meta.txt", $"cifar:{folder}");
        AssertRefused("has no split 'val': it must be one of test, train", $"cifar@val:{folder}");
        AssertRefused("holds no CIFAR files", $"cifar:{_scratch.Path("none")}");
        CifarFiles.WriteBinary10(_scratch.Root);
        CifarFiles.WriteBinary100(_scratch.Root);
        AssertRefused("holds both CIFAR-10 and CIFAR-100", _scratch.Root);
    }

    [Fact]
    public void AnArchiveIsRefusedWithTheCommandThatUnpacksIt()
    {
        var archive = _scratch.Write([0x1F, 0x8B, 8], "cifar-10-python.tar.gz");
        AssertRefused($"tar -xzf {archive}", archive);
        AssertRefused("is packed", $"cifar:{archive}");
    }

    [Fact]
    public void WrongPicklesAreNamedWithTheKey()
    {
        Func<PickleBuilder, string, PickleBuilder> write = CifarFiles.Python2;
        Refuse("has no `labels` but `batch_label`, `data`", CifarFiles.Pickle(0, ("fine_labels", [1])));
        Refuse("2 images and 1 `labels`", CifarFiles.Pickle(write, CifarFiles.Array(0, 2), ("labels", [1])));
        Refuse("`data`", CifarFiles.Pickle(write, CifarFiles.Array(0, 1, columns: 3071), ("labels", [1])));
        Refuse("`data`", CifarFiles.Pickle(write, CifarFiles.Array(0, 1, type: "f4"), ("labels", [1])));
        Refuse("is not a numpy array of bytes [images, 3072]", CifarFiles.Pickle(write, pickle => pickle.Op(Op.EmptyList), ("labels", [1])));
        Refuse("no pickled dict", new PickleBuilder().Op(Op.EmptyList).Finish());
        Refuse("is damaged", CifarFiles.Pickle(0, ("labels", [1, 2]))[..5000]);
        Refuse("is damaged", "not a pickle"u8.ToArray());
        Refuse("the label 10", CifarFiles.Pickle(0, ("labels", [10])));

        var labels = CifarFiles.Python2(CifarFiles.Array(0, 1)(CifarFiles.Python2(new PickleBuilder().Op(Op.EmptyDict), "data")).Op(Op.SetItem), "labels");
        Refuse("`labels` in", labels.Text("1, 2, 3").Op(Op.SetItem).Finish());

        var folder = WritePython10(CifarFiles.Pickle(0, ("labels", [1])));
        _scratch.Write(new PickleBuilder().Op(Op.EmptyDict).Text("label_names").Int(3).Op(Op.SetItem).Finish(), "cifar-10-batches-py", "batches.meta");
        AssertRefused("`label_names` in", folder);

        void Refuse(string expected, byte[] content) => AssertRefused(expected, WritePython10(content));
    }

    [Fact]
    public void NothingInAPickleIsExecuted()
    {
        var marker = _scratch.Path("marker");
        var pickle = new PickleBuilder().Global("posix", "system").Text($"touch {marker}").Op(Op.Tuple1, Op.Reduce).Finish();
        AssertRefused("no pickled dict", WritePython10(pickle));
        Assert.False(File.Exists(marker));
    }

    private static int[] Cycle(int count) => [.. Enumerable.Range(0, count).Select(image => image % 10)];

    private static ImageSet Open(string address) => ImageSetFormats.Open(address, new(NeedsLabels: true));

    private static void AssertRefused(string expected, string address)
    {
        var message = Assert.Throws<UserException>(() => Open(address)).Message;
        Assert.Contains(expected, message, StringComparison.Ordinal);
        Assert.Contains("cifar", message, StringComparison.OrdinalIgnoreCase);
    }

    private static void AssertImages(ImageSet set, int first)
    {
        for (var index = 0; index < set.Count; index++)
        {
            using var image = set.Load(index);
            var planes = CifarFiles.Planes(first + index);
            Assert.Equal((32, 32, PixelLayout.Rgb), (image.Width, image.Height, image.Layout));
            Assert.Equal(Enumerable.Range(0, CifarFiles.Values).Select(value => planes[(value % 3 * 1024) + (value / 3)]), image.Pixels.ToArray());
        }
    }

    private string WritePython10(byte[] testBatch)
    {
        var folder = Path.GetDirectoryName(_scratch.Write(testBatch, "cifar-10-batches-py", "test_batch"))!;
        _scratch.Write(CifarFiles.PickledNames(("label_names", CifarFiles.Names10)), "cifar-10-batches-py", "batches.meta");
        return folder;
    }
}
