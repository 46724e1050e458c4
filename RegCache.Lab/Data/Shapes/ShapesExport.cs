using System.Buffers.Binary;
using System.Diagnostics;
using System.Formats.Tar;
using System.Globalization;
using System.IO.Compression;
using System.IO.Hashing;
using System.Text;
using System.Text.Json;
using RegCache.Lab.Reports;

namespace RegCache.Lab.Data.Shapes;

/// <summary>Writes the generated set in the layouts of real data sets, so that the same readers read it.</summary>
public static class ShapesExport
{
    private const int ShardSize = 1000;
    private static readonly JsonSerializerOptions _plain = new() { WriteIndented = false };

    /// <summary>Writes a set.</summary>
    /// <param name="set">The images.</param>
    /// <param name="folder">The folder of the data set; each split has its own files in it.</param>
    /// <param name="format">The layout.</param>
    /// <param name="progress">Told of the images written.</param>
    /// <param name="cancellation">Stops the work.</param>
    /// <returns>The number of images written.</returns>
    /// <exception cref="UserException">A file cannot be written.</exception>
    public static int Write(
        ShapesSet set, string folder, ShapesFormat format, IWorkProgress progress, CancellationToken cancellation = default)
    {
        var split = set.Split.ToString().ToLowerInvariant();
        int[] chosen = format is ShapesFormat.Folders or ShapesFormat.Cifar
            ? [.. Enumerable.Range(0, set.Count).Where(index => set.Samples[index].Label >= 0)]
            : [.. Enumerable.Range(0, set.Count)];
        using var handle = progress.Start($"writing {split}", chosen.Length, "images");
        var done = 0;
        void Each(IEnumerable<int> indices, Action<int, byte[]> write) => Parallel.ForEach(
            indices,
            new ParallelOptions { CancellationToken = cancellation },
            index =>
            {
                write(index, PngEncoder.Encode(set.Image(index), ShapesScene.Side, ShapesScene.Side));
                handle.Report(Interlocked.Increment(ref done));
            });

        try
        {
            switch (format)
            {
                case ShapesFormat.Folders:
                    Each(chosen, (index, png) => AtomicFile.WriteBytes(
                        Path.Combine(folder, split, ClassFolder(set.Samples[index].Label), FileName(index, "png")), png));
                    break;
                case ShapesFormat.Coco:
                    Each(chosen, (index, png) => AtomicFile.WriteBytes(Path.Combine(folder, split, FileName(index, "png")), png));
                    WriteCaptions(set, folder, split);
                    break;
                case ShapesFormat.WebDataset:
                    WriteShards(set, folder, split, Each);
                    break;
                case ShapesFormat.Cifar:
                    ShapesCifar.Write(set, chosen, folder, () => handle.Report(Interlocked.Increment(ref done)), cancellation);
                    break;
                default:
                    throw new UnreachableException();
            }
        }
        catch (AggregateException exception) when (exception.InnerExceptions[0] is UserException cause)
        {
            throw new UserException(cause.Message, exception);
        }

        return chosen.Length;
    }

    /// <summary>The folder of a class: its two-digit number, which keeps the class order when sorted, and its name.</summary>
    public static string ClassFolder(int label) => $"{label:00}_{ShapesVocabulary.Classes[label].Replace(' ', '_')}";

    private static string FileName(int index, string extension) =>
        string.Create(CultureInfo.InvariantCulture, $"{index:000000}.{extension}");

    private static void WriteCaptions(ShapesSet set, string folder, string split)
    {
        var samples = set.Samples.Index().ToArray();
        WriteJson(Path.Combine(folder, "annotations", $"captions_{split}.json"), new
        {
            info = new { description = "shapes, generated" },
            images = samples.Select(sample => new
            {
                id = sample.Index, file_name = FileName(sample.Index, "png"), width = ShapesScene.Side, height = ShapesScene.Side,
            }),
            annotations = samples.Select(sample => new { id = sample.Index, image_id = sample.Index, caption = sample.Item.Caption }),
        });
        WriteJson(Path.Combine(folder, $"dataset_shapes_{split}.json"), new
        {
            dataset = "shapes",
            images = samples.Select(sample => new
            {
                imgid = sample.Index,
                filepath = split,
                filename = FileName(sample.Index, "png"),
                split = KarpathySplit(set.Split),
                sentids = new[] { sample.Index },
                sentences = new[]
                {
                    new
                    {
                        raw = sample.Item.Caption, tokens = sample.Item.Caption.Split(' '), imgid = sample.Index, sentid = sample.Index,
                    },
                },
            }),
        });
    }

    private static string KarpathySplit(ShapesSplit split) => split switch
    {
        ShapesSplit.Train or ShapesSplit.Calibration => "train",
        ShapesSplit.Validation => "val",
        ShapesSplit.Test or ShapesSplit.Retrieval => "test",
        _ => throw new UnreachableException(),
    };

    private static void WriteShards(ShapesSet set, string folder, string split, Action<IEnumerable<int>, Action<int, byte[]>> each)
    {
        var sizes = new SortedDictionary<string, int>(StringComparer.Ordinal);
        for (var first = 0; first < set.Count; first += ShardSize)
        {
            var count = Math.Min(ShardSize, set.Count - first);
            var images = new byte[count][];
            each(Enumerable.Range(first, count), (index, png) => images[index - first] = png);
            var name = string.Create(CultureInfo.InvariantCulture, $"{split}-{first / ShardSize:000000}.tar");
            sizes[name] = count;
            AtomicFile.Write(Path.Combine(folder, name), stream => WriteShard(set, first, images, stream));
        }

        WriteJson(Path.Combine(folder, $"sizes_{split}.json"), sizes);
    }

    private static void WriteShard(ShapesSet set, int first, byte[][] images, Stream stream)
    {
        using var tar = new TarWriter(stream, TarEntryFormat.Ustar, leaveOpen: true);
        for (var position = 0; position < images.Length; position++)
        {
            var sample = set.Samples[first + position];
            AddMember(tar, FileName(first + position, "png"), images[position]);
            AddMember(tar, FileName(first + position, "txt"), Encoding.UTF8.GetBytes(sample.Caption));
            if (sample.Label >= 0)
            {
                AddMember(tar, FileName(first + position, "cls"), Encoding.UTF8.GetBytes(sample.Label.ToString(CultureInfo.InvariantCulture)));
            }
        }
    }

    // A fixed time keeps the shards the same bytes whenever they are made.
    private static void AddMember(TarWriter tar, string name, byte[] content) => tar.WriteEntry(
        new UstarTarEntry(TarEntryType.RegularFile, name) { DataStream = new MemoryStream(content), ModificationTime = DateTimeOffset.UnixEpoch });

    private static void WriteJson<T>(string path, T content) =>
        AtomicFile.WriteBytes(path, JsonSerializer.SerializeToUtf8Bytes(content, _plain));
}

/// <summary>How the generated set is written to files.</summary>
public enum ShapesFormat
{
    /// <summary>One folder a class with PNG files; images of two objects have no class and are left out.</summary>
    Folders,

    /// <summary>PNG files, COCO's captions JSON, and the split JSON of Karpathy.</summary>
    Coco,

    /// <summary>Tar shards of PNG, caption and class.</summary>
    WebDataset,

    /// <summary>CIFAR-10's binary files, 32 x 32 pixels, splits train and test; images of two objects are left out.</summary>
    Cifar,
}

/// <summary>Writes 8-bit RGB images as PNG, the same bytes on every machine that has the same zlib.</summary>
internal static class PngEncoder
{
    private const int Channels = 3;

    private static ReadOnlySpan<byte> Signature => [0x89, (byte)'P', (byte)'N', (byte)'G', 0x0D, 0x0A, 0x1A, 0x0A];

    /// <summary>Encodes an image.</summary>
    /// <param name="pixels">Rows of pixels of red, green and blue.</param>
    /// <param name="width">Pixels in a row.</param>
    /// <param name="height">Rows.</param>
    public static byte[] Encode(ReadOnlySpan<byte> pixels, int width, int height)
    {
        using var file = new MemoryStream();
        file.Write(Signature);
        var header = new byte[13];
        BinaryPrimitives.WriteInt32BigEndian(header, width);
        BinaryPrimitives.WriteInt32BigEndian(header.AsSpan(4), height);
        (header[8], header[9]) = (8, 2);
        WriteChunk(file, "IHDR"u8, header);
        WriteChunk(file, "IDAT"u8, Compress(pixels, width * Channels));
        WriteChunk(file, "IEND"u8, []);
        return file.ToArray();
    }

    // Each row holds the differences to the pixel on the left (filter 1), which compress better than the pixels.
    private static byte[] Compress(ReadOnlySpan<byte> pixels, int stride)
    {
        using var compressed = new MemoryStream();
        using (var zlib = new ZLibStream(compressed, CompressionLevel.Fastest))
        {
            var row = new byte[1 + stride];
            row[0] = 1;
            for (var start = 0; start < pixels.Length; start += stride)
            {
                for (var index = 0; index < stride; index++)
                {
                    var left = index < Channels ? 0 : pixels[start + index - Channels];
                    row[1 + index] = (byte)(pixels[start + index] - left);
                }

                zlib.Write(row);
            }
        }

        return compressed.ToArray();
    }

    private static void WriteChunk(MemoryStream file, ReadOnlySpan<byte> type, ReadOnlySpan<byte> content)
    {
        Span<byte> number = stackalloc byte[4];
        BinaryPrimitives.WriteInt32BigEndian(number, content.Length);
        file.Write(number);
        file.Write(type);
        file.Write(content);
        byte[] covered = [.. type, .. content];
        BinaryPrimitives.WriteUInt32BigEndian(number, Crc32.HashToUInt32(covered));
        file.Write(number);
    }
}
