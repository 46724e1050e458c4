using System.Text;
using RegCache.Lab.Data.Images;
using RegCache.Lab.Reports;

namespace RegCache.Lab.Data.Shapes;

/// <summary>
/// Writes the generated set as CIFAR-10's binary version, so that whatever reads CIFAR-10 reads it: 32 x 32 pixels, shrunk by Pillow's
/// bicubic filter, the images of one object, and the set's own classes in <c>batches.meta.txt</c>.
/// </summary>
internal static class ShapesCifar
{
    private static readonly CifarLayout _layout = CifarLayout.All.Single(layout => layout is { HasCoarse: false, IsPickled: false });

    /// <summary>Writes the files of a split.</summary>
    /// <param name="set">The images, of the split <c>train</c> or <c>test</c>.</param>
    /// <param name="chosen">The images that have a class.</param>
    /// <param name="folder">The folder of the data set.</param>
    /// <param name="written">Told of every image.</param>
    /// <param name="cancellation">Stops before the next file.</param>
    /// <exception cref="UserException">CIFAR has no such split, there are fewer images than files, or one cannot be written.</exception>
    public static void Write(ShapesSet set, int[] chosen, string folder, Action written, CancellationToken cancellation)
    {
        var files = set.Split switch
        {
            ShapesSplit.Train => _layout.Train,
            ShapesSplit.Test => [_layout.Test],
            var other => throw new UserException($"--split {other.ToString().ToLowerInvariant()}: CIFAR has the splits train and test alone."),
        };
        if (chosen.Length < files.Count)
        {
            throw new UserException($"--count: {chosen.Length} images of one object do not fill the {files.Count} files of the split; ask for more.");
        }

        var shrink = new ImagePreprocessor(new(CifarBatch.Side));
        for (var file = 0; file < files.Count; file++)
        {
            cancellation.ThrowIfCancellationRequested();
            var part = chosen[(chosen.Length * file / files.Count)..(chosen.Length * (file + 1) / files.Count)];
            var records = new byte[part.Length * (1 + CifarBatch.Values)];
            Parallel.For(0, part.Length, record =>
            {
                var values = records.AsSpan(record * (1 + CifarBatch.Values), 1 + CifarBatch.Values);
                values[0] = (byte)set.Samples[part[record]].Label;
                using var image = DecodedImage.FromPixels(ShapesScene.Side, ShapesScene.Side, PixelLayout.Rgb, set.Image(part[record]));
                Span<byte> pixels = stackalloc byte[CifarBatch.Values];
                shrink.ToRgb(image, pixels);
                for (var value = 0; value < pixels.Length; value++)
                {
                    values[1 + (value % 3 * CifarBatch.Plane) + (value / 3)] = pixels[value];
                }

                written();
            });
            AtomicFile.WriteBytes(Path.Combine(folder, files[file]), records);
        }

        var names = string.Concat(ShapesVocabulary.Classes.Select(name => name + "\n"));
        AtomicFile.WriteBytes(Path.Combine(folder, _layout.FineNames), Encoding.UTF8.GetBytes(names));
    }
}
