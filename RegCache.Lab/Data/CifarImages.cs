using Microsoft.Win32.SafeHandles;
using RegCache.Lab.Data.Images;
using RegCache.Lab.Reports;

namespace RegCache.Lab.Data;

/// <summary>
/// CIFAR-10 and CIFAR-100 as they are published: the binary version, whose records are one or two label bytes and 32 x 32 pixels, one plane a
/// colour, and the Python version (<see cref="CifarPickle"/>). Splits are <c>test</c> and <c>train</c>, and for CIFAR-100's twenty coarse classes
/// <c>test-coarse</c> and <c>train-coarse</c>. Pixels are read when an image is asked for.
/// Source: Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009.
/// </summary>
public sealed class CifarImages : ImageSet
{
    private const string CoarseEnd = "-coarse";

    private readonly List<CifarBatch> _batches = [];
    private readonly List<int> _ends = [];
    private readonly List<int> _labels = [];

    private CifarImages(string folder, CifarLayout layout, string split, ImageSetRequest request)
    {
        var isCoarse = split.EndsWith(CoarseEnd, StringComparison.Ordinal);
        try
        {
            ClassNames = layout.ReadClassNames(folder, isCoarse);
            foreach (var file in split.StartsWith("train", StringComparison.Ordinal) ? layout.Train : [layout.Test])
            {
                request.Cancellation.ThrowIfCancellationRequested();
                var batch = layout.Open(layout.Require(folder, file), isCoarse);
                _batches.Add(batch);
                if (batch.Labels.FindIndex(label => label >= ClassNames.Count) is >= 0 and var wrong)
                {
                    throw new UserException(
                        $"{batch.Path}: record {wrong} has the label {batch.Labels[wrong]}, but {layout.Title} has the classes 0 to {ClassNames.Count - 1}: fetch the file again.");
                }

                _labels.AddRange(batch.Labels);
                _ends.Add(_labels.Count);
            }
        }
        catch
        {
            Dispose();
            throw;
        }

        Labels = _labels;
        Inventory = new(
            $"{(request.Variable is { } variable ? $"{variable.Name} " : "")}{layout.Title} {split} in {folder}", $"{Count} images in {ClassesInWords}", [], []);
    }

    /// <summary>The entry in the list of formats.</summary>
    public static ImageSetFormat Entry { get; } = new(
        "cifar",
        "CIFAR-10 or CIFAR-100, unpacked: the folder of the binary or the Python version; splits test, train, test-coarse, train-coarse",
        path => CifarLayout.IsArchive(path) || CifarLayout.In(path).Any(found => found.Layout.IsComplete(found.Folder)),
        Open);

    /// <inheritdoc />
    public override int Count => _labels.Count;

    /// <inheritdoc />
    public override DataInventory Inventory { get; }

    /// <inheritdoc />
    public override string Name(int index)
    {
        var (batch, record) = Find(index);
        return $"{batch.Path}, record {record}";
    }

    /// <inheritdoc />
    public override string SortKey(int index) => $"{index:D9}";

    /// <inheritdoc />
    public override DecodedImage Load(int index)
    {
        var (batch, record) = Find(index);
        Span<byte> planes = stackalloc byte[CifarBatch.Values];
        Span<byte> pixels = stackalloc byte[CifarBatch.Values];
        batch.Read(record, planes);
        for (var value = 0; value < planes.Length; value++)
        {
            pixels[value] = planes[(value % 3 * CifarBatch.Plane) + (value / 3)];
        }

        return DecodedImage.FromPixels(CifarBatch.Side, CifarBatch.Side, PixelLayout.Rgb, pixels);
    }

    /// <inheritdoc />
    public override string ComputeFingerprint(bool skipUnreadable = false, CancellationToken cancellation = default) =>
        $"{ContentHash.OfFiles([.. _batches.Select(batch => batch.Path)], cancellation)}{ClassNames.Count:D3}";

    /// <inheritdoc />
    protected override void Dispose(bool disposing)
    {
        _batches.ForEach(batch => batch.Dispose());
        base.Dispose(disposing);
    }

    private static CifarImages Open(ImageSetRequest request)
    {
        var path = request.Path;
        if (CifarLayout.IsArchive(path))
        {
            throw new UserException($"{path} is packed: unpack it (tar -xzf {path}) and name the folder that comes out of it.");
        }

        (string Folder, CifarLayout Layout)[] found = [.. CifarLayout.In(path)];
        var (folder, layout) = found.Select(one => one.Layout.Title).Distinct().Count() switch
        {
            // Where both versions of a set are, they hold the same images.
            1 => found[0],
            0 => throw new UserException(
                $"The folder {path} holds no CIFAR files: name the folder of the unpacked archive ({string.Join(", ", CifarLayout.All.Select(known => known.Folder))}) or the one above it."),
            _ => throw new UserException($"The folder {path} holds both CIFAR-10 and CIFAR-100: name one of {string.Join(", ", found.Select(one => one.Folder))}."),
        };
        string[] splits = layout.HasCoarse ? ["test", "train", "test-coarse", "train-coarse"] : ["test", "train"];
        var split = request.Split ?? splits[0];
        return splits.Contains(split) ? new(folder, layout, split, request) : throw Entry.NoSplit(split, splits);
    }

    private (CifarBatch Batch, int Record) Find(int index)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual((uint)index, (uint)Count, nameof(index));
        var number = _ends.FindIndex(end => index < end);
        return (_batches[number], number == 0 ? index : index - _ends[number - 1]);
    }
}

/// <summary>How a version of a CIFAR set lies in its folder.</summary>
/// <param name="Title">The set.</param>
/// <param name="Folder">The folder that its archive unpacks to.</param>
/// <param name="Train">Files of the training images.</param>
/// <param name="Test">The file of the test images.</param>
/// <param name="FineNames">The file of the class names.</param>
/// <param name="CoarseNames">The file of the names of the coarse classes; null: there are none.</param>
/// <param name="IsPickled">Whether it is the Python version.</param>
internal sealed record CifarLayout(
    string Title, string Folder, IReadOnlyList<string> Train, string Test, string FineNames, string? CoarseNames, bool IsPickled)
{
    /// <summary>The four that are published.</summary>
    public static IReadOnlyList<CifarLayout> All { get; } =
    [
        new("CIFAR-10", "cifar-10-batches-bin", Numbered("data_batch_{0}.bin"), "test_batch.bin", "batches.meta.txt", null, false),
        new("CIFAR-10", "cifar-10-batches-py", Numbered("data_batch_{0}"), "test_batch", "batches.meta", null, true),
        new("CIFAR-100", "cifar-100-binary", ["train.bin"], "test.bin", "fine_label_names.txt", "coarse_label_names.txt", false),
        new("CIFAR-100", "cifar-100-python", ["train"], "test", "meta", "meta", true),
    ];

    /// <summary>Whether records have a coarse label, too.</summary>
    public bool HasCoarse => CoarseNames is not null;

    /// <summary>Whether a path is an archive as it is published.</summary>
    public static bool IsArchive(string path) =>
        Path.GetFileName(path) is var name && name.StartsWith("cifar-10", StringComparison.Ordinal) && name.EndsWith(".tar.gz", StringComparison.Ordinal);

    /// <summary>The versions in a folder or in the folders in it that archives unpack to.</summary>
    public static IEnumerable<(string Folder, CifarLayout Layout)> In(string path) =>
        from layout in All
        from folder in new[] { path, Path.Join(path, layout.Folder) }
        where layout.Train.Append(layout.Test).Any(file => File.Exists(Path.Join(folder, file)))
        select (folder, layout);

    /// <summary>Whether the class names are there, too, which tells CIFAR-100's file <c>train</c> from another.</summary>
    public bool IsComplete(string folder) => File.Exists(Path.Join(folder, FineNames));

    /// <summary>The path of a file of the folder.</summary>
    /// <exception cref="UserException">It is not there.</exception>
    public string Require(string folder, string file) =>
        Path.Join(folder, file) is var path && File.Exists(path) ? path : throw new UserException($"The folder {folder} of {Title} has no {file}: unpack the archive again.");

    /// <summary>The class names; underscores are spaces, as a prompt needs them.</summary>
    /// <exception cref="UserException">The file is missing or holds something else.</exception>
    public IReadOnlyList<string> ReadClassNames(string folder, bool isCoarse)
    {
        var path = Require(folder, isCoarse ? CoarseNames! : FineNames);
        var names = IsPickled
            ? CifarPickle.ReadClassNames(path, !HasCoarse ? "label_names" : isCoarse ? "coarse_label_names" : "fine_label_names")
            : ClassNameFile.Lines(path);
        return [.. names.Select(name => name.Replace('_', ' '))];
    }

    /// <summary>Opens a file of images.</summary>
    /// <exception cref="UserException">It cannot be read, or holds something else.</exception>
    public CifarBatch Open(string path, bool isCoarse) => IsPickled
        ? CifarPickle.Open(path, !HasCoarse ? "labels" : isCoarse ? "coarse_labels" : "fine_labels")
        : CifarBatch.OpenBinary(path, HasCoarse ? 2 : 1, HasCoarse && !isCoarse ? 1 : 0);

    private static string[] Numbered(string name) => [.. Enumerable.Range(1, 5).Select(number => name.Replace("{0}", $"{number}", StringComparison.Ordinal))];
}

/// <summary>A file of CIFAR images, open for reading at any place, or an array in memory where the file has it in another form.</summary>
/// <param name="Path">The file.</param>
/// <param name="File">The file; null: the values are in <paramref name="Memory"/>.</param>
/// <param name="Memory">The values.</param>
/// <param name="Start">Where the values of the first image begin.</param>
/// <param name="RecordStride">Bytes from an image to the next.</param>
/// <param name="ValueStride">Bytes from a value of an image to the next.</param>
/// <param name="Labels">The label of every image.</param>
internal sealed record CifarBatch(
    string Path, SafeFileHandle? File, byte[] Memory, long Start, long RecordStride, long ValueStride, List<int> Labels) : IDisposable
{
    /// <summary>Rows and columns of an image.</summary>
    public const int Side = 32;

    /// <summary>Values of a colour.</summary>
    public const int Plane = Side * Side;

    /// <summary>Values of an image.</summary>
    public const int Values = 3 * Plane;

    /// <summary>Opens a file of the binary version.</summary>
    /// <param name="path">The file.</param>
    /// <param name="labelBytes">Label bytes in front of the values of an image.</param>
    /// <param name="label">Which of them is the label.</param>
    /// <exception cref="UserException">It cannot be read, is empty, or ends within a record.</exception>
    public static CifarBatch OpenBinary(string path, int labelBytes, int label)
    {
        var stride = labelBytes + Values;
        SafeFileHandle? file = null;
        try
        {
            file = System.IO.File.OpenHandle(path);
            var length = RandomAccess.GetLength(file);
            if (length == 0 || length % stride != 0)
            {
                throw new UserException(length == 0
                    ? $"{path} is empty: unpack the archive again."
                    : $"{path} is cut off in record {length / stride}: its {length} bytes are no multiple of the {stride} of a record; unpack the archive again.");
            }

            var labels = new List<int>();
            Span<byte> value = stackalloc byte[1];
            for (var at = (long)label; at < length && RandomAccess.Read(file, value, at) == 1; at += stride)
            {
                labels.Add(value[0]);
            }

            return new(path, file, [], labelBytes, stride, 1, labels);
        }
        catch (Exception exception)
        {
            file?.Dispose();
            throw FileErrors.IsFileError(exception) ? FileErrors.ToUserException(exception, $"The file {path} cannot be read") : exception;
        }
    }

    /// <summary>Reads the values of an image, one plane a colour. May be called from several threads.</summary>
    /// <exception cref="UserException">The file has become shorter or cannot be read.</exception>
    public void Read(int record, Span<byte> values)
    {
        var start = Start + (record * RecordStride);
        if (File is null)
        {
            for (var value = 0; value < values.Length; value++)
            {
                values[value] = Memory[start + (value * ValueStride)];
            }

            return;
        }

        try
        {
            // An array in Fortran's order has the values of an image far apart.
            var step = ValueStride == 1 ? values.Length : 1;
            for (var done = 0; done < values.Length; done += step)
            {
                if (RandomAccess.Read(File, values.Slice(done, step), start + (done * ValueStride)) < step)
                {
                    throw new UserException($"{Path} is cut off in record {record}: it became shorter while it was used.");
                }
            }
        }
        catch (Exception exception) when (FileErrors.IsFileError(exception))
        {
            throw FileErrors.ToUserException(exception, $"The file {Path} cannot be read");
        }
    }

    /// <inheritdoc />
    public void Dispose() => File?.Dispose();
}
