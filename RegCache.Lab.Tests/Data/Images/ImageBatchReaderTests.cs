using RegCache.Lab.Data;
using RegCache.Lab.Data.Images;
using RegCache.Lab.Tests.Reports;

namespace RegCache.Lab.Tests.Data.Images;

[Trait("Category", "Slow")]
public sealed class ImageBatchReaderTests
{
    private static readonly ImagePreprocessor Preprocessor = new(new PreprocessOptions(16));

    private static readonly string[] Good =
        [.. PillowCases.Files.Select(file => Path.Combine(PillowCases.Folder, file))];

    [Theory]
    [InlineData(1, 1, 0)]
    [InlineData(2, 7, 2)]
    [InlineData(5, 1000, 1)]
    [InlineData(3, 4, 3)]
    public void BatchesHoldTheFilesInOrder(int workers, int batchSize, int ahead)
    {
        var reader = new ImageBatchReader(
            new ImageFileItems(Good), Preprocessor, new ImageReaderOptions { Workers = workers, BatchesAhead = ahead });
        var next = 0;
        foreach (var batch in reader.Read(batchSize))
        {
            Assert.Equal(Enumerable.Range(next, Math.Min(batchSize, Good.Length - next)), batch.Indices.ToArray());
            for (var i = 0; i < batch.Count; i++)
            {
                Assert.Equal(Expected(Good[next + i]), Image(batch, i));
            }

            next += batch.Count;
        }

        Assert.Equal(Good.Length, next);
    }

    [Fact]
    public void ConversionAfterTheResizeCanBeAskedFor()
    {
        var palette = Good.Single(file => file.EndsWith("png-palette-8.png", StringComparison.Ordinal));
        var late = Read(new ImageBatchReader(new ImageFileItems([palette]), Preprocessor, new ImageReaderOptions { RgbOnLoad = false })).Single();
        var early = Read(new ImageBatchReader(new ImageFileItems([palette]), Preprocessor)).Single();
        var expected = new float[Preprocessor.OutputLength];
        using var image = ImageDecoder.Load(palette);
        Preprocessor.ToPlanes(image, expected);
        Assert.Equal(expected, late.Pixels);
        Assert.NotEqual(expected, early.Pixels);
    }

    [Fact]
    public void APassCanBeginAtALaterBatch()
    {
        var reader = new ImageBatchReader(new ImageFileItems(Good), Preprocessor);
        var all = Read(reader, 4);
        Assert.Equal(all.Skip(8).Select(image => image.Index), reader.Read(4, firstBatch: 2).SelectMany(batch => batch.Indices.ToArray()));
        Assert.Empty(reader.Read(4, firstBatch: 1000));
        Assert.Empty(new ImageBatchReader(new ImageFileItems([]), Preprocessor).Read(4));
    }

    [Fact]
    public void SingleImagesComeInTheOrderAskedFor()
    {
        var reader = new ImageBatchReader(new ImageFileItems(Good), Preprocessor);
        int[] wanted = [7, 3, 3, 0, 11];
        var images = reader.Read(wanted, 2).SelectMany(Copy).ToList();
        Assert.Equal(wanted, images.Select(image => image.Index));
        Assert.All(images, image => Assert.Equal(Expected(Good[image.Index]), image.Pixels));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(5)]
    [InlineData(1000)]
    public void LaterPassesTakeKeptCropsFromMemory(int kept)
    {
        using var scratch = new ScratchFolder();
        var files = Good.Select((file, i) => scratch.Copy(Path.GetFileName(file), $"{i:D3}.image")).ToArray();
        var reader = new ImageBatchReader(
            new ImageFileItems(files), Preprocessor, new ImageReaderOptions { CacheBytes = (kept * Preprocessor.OutputLength) + 5, Workers = 1 });
        var first = Read(reader, 3);
        Assert.Equal(first, Read(reader, 5), SameImage);

        // Without the files, exactly the kept crops can still be read.
        foreach (var file in files)
        {
            File.Delete(file);
        }

        var readable = Enumerable.Range(0, files.Length)
            .Count(i => Record.Exception(() => reader.Read([i], 1).Count()) is null);
        Assert.Equal(Math.Min(kept, files.Length), readable);
    }

    [Fact]
    public void TheFirstBadFileIsNamedAfterTheBatchesBeforeIt()
    {
        using var scratch = new ScratchFolder();
        string[] files =
        [
            .. Good.Take(5), scratch.Write([], "empty.jpg"), Good[6], scratch.Write([1, 2, 3], "other.jpg"), Good[8],
        ];
        var reader = new ImageBatchReader(new ImageFileItems(files), Preprocessor, new ImageReaderOptions { Workers = 3 });
        var read = 0;
        var error = Assert.Throws<UserException>(() =>
        {
            foreach (var batch in reader.Read(2))
            {
                read += batch.Count;
            }
        });
        Assert.Contains("empty.jpg", error.Message, StringComparison.Ordinal);
        Assert.Equal(4, read);
        Assert.Empty(reader.Unreadable);
    }

    [Fact]
    public void BadFilesCanBeLeftOutAndAreNamed()
    {
        using var scratch = new ScratchFolder();
        string[] files =
        [
            scratch.Write([], "empty.jpg"), Good[1], scratch.Write([1, 2, 3], "other.jpg"), Good[3], Good[4],
            scratch.Write([], "a.png"), scratch.Write([], "b.png"),
        ];
        var reader = new ImageBatchReader(new ImageFileItems(files), Preprocessor, new ImageReaderOptions { SkipBadImages = true });
        for (var pass = 0; pass < 2; pass++)
        {
            var images = Read(reader, 2);
            Assert.Equal([1, 3, 4], images.Select(image => image.Index));
            Assert.All(images, image => Assert.Equal(Expected(files[image.Index]), image.Pixels));
            Assert.Equal([0, 2, 5, 6], reader.Unreadable.Select(bad => bad.Index));
            Assert.All(reader.Unreadable, bad => Assert.Equal(files[bad.Index], bad.Name));
            Assert.Contains("empty.jpg", reader.Unreadable[0].Reason, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void APassCanBeLeftOrCancelledMidway()
    {
        var reader = new ImageBatchReader(new ImageFileItems(Good), Preprocessor, new ImageReaderOptions { BatchesAhead = 4 });
        Assert.Equal(3, reader.Read(3).First().Count);
        using var source = new CancellationTokenSource();
        Assert.ThrowsAny<OperationCanceledException>(() =>
        {
            foreach (var batch in reader.Read(1, cancellation: source.Token))
            {
                source.Cancel();
            }
        });
        Assert.Equal(Good.Length, Read(reader, 8).Count);
    }

    [Fact]
    public void PassesMayRunAtTheSameTime()
    {
        var reader = new ImageBatchReader(
            new ImageFileItems(Good), Preprocessor, new ImageReaderOptions { Workers = 2, CacheBytes = 20L * Preprocessor.OutputLength });
        var passes = new List<ImageCopy>[4];
        Parallel.For(0, passes.Length, i => passes[i] = Read(reader, i + 2));
        Assert.All(passes, pass => Assert.Equal(passes[0], pass, SameImage));
    }

    [Fact]
    public void ImpossibleOptionsAreRefused() =>
        Assert.Throws<UserException>(() => new ImageBatchReader(new ImageFileItems(Good), Preprocessor, new ImageReaderOptions { Workers = 0 }));

    [Fact]
    public void AFolderCountsTheImagesThatWereLeftOut()
    {
        using var scratch = new ScratchFolder();
        scratch.Copy("jpeg-420.jpg", "0.jpg");
        scratch.Write("no image"u8.ToArray(), "1.jpg");
        File.CreateSymbolicLink(scratch.Path("2.jpg"), "/nowhere");
        var source = new ImageSetSource(ClassFolderDataset.Open(scratch.Root), Preprocessor, options: new() { SkipBadImages = true });
        Assert.Equal([0], source.ReadBatches(2).SelectMany(batch => batch.Indices).ToArray());
        Assert.Equal([0], new ImageSubset(source, 3).ReadBatches(3).SelectMany(batch => batch.Indices).ToArray());
        scratch.Copy("jpeg-420.jpg", "3.jpg");
        scratch.Copy("jpeg-420.jpg", "4.jpg");
        var more = new ImageSetSource(ClassFolderDataset.Open(scratch.Root), Preprocessor, options: new() { SkipBadImages = true });
        Assert.Equal([0, 3], new ImageSubset(more, 4).ReadBatches(1).SelectMany(batch => batch.Indices).ToArray());
        Assert.Equal([0, 2], new ImageSubset(more, 3).ReadBatches(1).SelectMany(batch => batch.Indices).ToArray());
        File.Delete(scratch.Path("3.jpg"));
        File.Delete(scratch.Path("4.jpg"));
        using var read = source.Read([2, 0, 1]);
        Assert.Equal(1, read.shape[0]);
        Assert.Equal("unreadable images: 2", source.Inventory.LeftOut.Single().ToString().Split(" (")[0]);
        var messages = new Messages();
        source.TellUnreadable(messages);
        Assert.Contains("2 unreadable images were left out", Assert.Single(messages.Texts), StringComparison.Ordinal);
        Assert.Contains("No image of", Assert.Throws<UserException>(() => source.Read([1, 2])).Message, StringComparison.Ordinal);

        File.Delete(scratch.Path("0.jpg"));
        var bad = new ImageSetSource(ClassFolderDataset.Open(scratch.Root), Preprocessor, options: new() { SkipBadImages = true });
        var message = Assert.Throws<UserException>(() => bad.ReadBatches(2).Count()).Message;
        Assert.Contains("No image of", message, StringComparison.Ordinal);
        Assert.Equal(message, Assert.Throws<UserException>(() => new ImageSubset(bad, 2).ReadBatches(1).Count()).Message);
        Assert.Contains("1.jpg is not a JPEG", message, StringComparison.Ordinal);
        Assert.Throws<UserException>(() => new ImageSetSource(ClassFolderDataset.Open(scratch.Root), Preprocessor));
    }

    [Fact]
    public void TruncatedImagesAreNamedAndMakeAnotherSet()
    {
        using var scratch = new ScratchFolder();
        scratch.Copy("jpeg-420.jpg", "0.jpg");
        scratch.Write(File.ReadAllBytes(Path.Combine(PillowCases.Folder, "jpeg-420.jpg"))[..800], "1.jpg");
        ImageSetSource Open(DecodingOptions decoding) =>
            new(ImageSetFormats.Open(scratch.Root, new() { Decoding = decoding }), Preprocessor, options: new() { CacheBytes = 1 << 20 });

        var strict = Open(DecodingOptions.Default);
        Assert.Contains("--truncated-images", Assert.Throws<UserException>(() => strict.ReadBatches(2).Count()).Message, StringComparison.Ordinal);

        var lenient = Open(new() { TruncatedImages = true });
        Assert.Empty(lenient.Inventory.Warnings);
        for (var pass = 0; pass < 2; pass++)
        {
            Assert.Equal([0, 1], lenient.ReadBatches(2).SelectMany(batch => batch.Indices).ToArray());
            Assert.Equal(
                $"1 truncated images were used as far as they go: {scratch.Path("1.jpg")}.", Assert.Single(lenient.Inventory.Warnings));
        }

        var messages = new Messages();
        lenient.TellUnreadable(messages);
        Assert.Equal(lenient.Inventory.Warnings, messages.Texts);
        Assert.Equal(3, new[] { strict, lenient, Open(new() { MaxPixels = 5000 }) }.Select(source => source.Fingerprint).Distinct().Count());
        Assert.Contains(strict.Fingerprint.Split('-')[0], lenient.Fingerprint, StringComparison.Ordinal);
    }

    [Fact]
    public void TheLimitOfPixelsReachesEveryReader()
    {
        using var scratch = new ScratchFolder();
        scratch.Copy("jpeg-420.jpg", "a", "0.jpg");
        scratch.Write("filepath\ttitle\na/0.jpg\ta caption\n"u8.ToArray(), "pairs.tsv");
        File.WriteAllBytes(
            scratch.Path("shard.tar"), new TarBytes().Add("0.jpg", File.ReadAllBytes(scratch.Path("a", "0.jpg"))).Add("0.txt", "a caption").Ended);
        var small = new DecodingOptions { MaxPixels = 100 };
        using var folders = ImageSetFormats.Open(scratch.Path("a"), new() { Decoding = small });
        using var table = new CsvPairSource(scratch.Path("pairs.tsv"), new(), small);
        using var shard = new WebDatasetSource([scratch.Path("shard.tar")], small);
        foreach (var items in new IImageItems[] { folders, table, shard, new ImageFileItems([scratch.Path("a", "0.jpg")], small) })
        {
            Assert.Contains("more than the 100 that are accepted", Assert.Throws<UserException>(() => items.Load(0)).Message, StringComparison.Ordinal);
        }

        using var otherTable = new CsvPairSource(scratch.Path("pairs.tsv"), new());
        using var otherShard = new WebDatasetSource([scratch.Path("shard.tar")]);
        Assert.NotEqual(otherTable.Fingerprint, table.Fingerprint);
        Assert.NotEqual(otherShard.Fingerprint, shard.Fingerprint);
    }

    private static float[] Expected(string file)
    {
        using var image = ImageDecoder.Load(file);
        using var rgb = image.ToRgb();
        var planes = new float[Preprocessor.OutputLength];
        Preprocessor.ToPlanes(rgb, planes);
        return planes;
    }

    private static List<ImageCopy> Read(ImageBatchReader reader, int batchSize = 4) =>
        [.. reader.Read(batchSize).SelectMany(Copy)];

    private static ImageCopy[] Copy(PixelBatch batch) =>
        [.. Enumerable.Range(0, batch.Count).Select(i => new ImageCopy(batch.Indices[i], Image(batch, i)))];

    private static float[] Image(PixelBatch batch, int position) =>
        batch.Pixels.Span.Slice(position * Preprocessor.OutputLength, Preprocessor.OutputLength).ToArray();

    private static bool SameImage(ImageCopy a, ImageCopy b) => a.Index == b.Index && a.Pixels.AsSpan().SequenceEqual(b.Pixels);

    private sealed record ImageCopy(int Index, float[] Pixels);
}
