using System.Text;
using RegCache.Lab.Tests.Encoders.Checkpoints;
using Op = RegCache.Lab.Encoders.Checkpoints.PickleOpcode;

namespace RegCache.Lab.Tests.Data;

/// <summary>Writes CIFAR's files as they are published: the binary records, and pickles instruction by instruction.</summary>
internal static class CifarFiles
{
    public const int Values = 3 * 32 * 32;

    public static readonly string[] Names10 = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"];

    /// <summary>The planes of an image: a value that tells images, colours and places apart.</summary>
    public static byte[] Planes(int image) => [.. Enumerable.Range(0, Values).Select(value => (byte)((image * 7) + (value / 1024 * 50) + (value % 1024 / 32) + (value % 5)))];

    public static byte[] Records(int first, params byte[][] labels) => [.. labels.SelectMany((label, image) => (byte[])[.. label, .. Planes(first + image)])];

    /// <summary>CIFAR-10's binary version, three images a file; image i has the label i % 10.</summary>
    public static string WriteBinary10(string root)
    {
        var folder = Directory.CreateDirectory(Path.Combine(root, "cifar-10-batches-bin")).FullName;
        for (var file = 0; file < 6; file++)
        {
            File.WriteAllBytes(
                Path.Combine(folder, file == 5 ? "test_batch.bin" : $"data_batch_{file + 1}.bin"),
                Records(file * 3, [.. Enumerable.Range(file * 3, 3).Select(image => new[] { (byte)(image % 10) })]));
        }

        // As published, with an empty line at the end.
        File.WriteAllText(Path.Combine(folder, "batches.meta.txt"), string.Join('\n', Names10) + "\n\n");
        return folder;
    }

    /// <summary>CIFAR-100's binary version: coarse and fine label.</summary>
    public static string WriteBinary100(string root)
    {
        var folder = Directory.CreateDirectory(Path.Combine(root, "cifar-100-binary")).FullName;
        File.WriteAllBytes(Path.Combine(folder, "train.bin"), Records(0, [4, 30], [19, 99]));
        File.WriteAllBytes(Path.Combine(folder, "test.bin"), Records(2, [0, 55], [1, 1], [11, 7]));
        File.WriteAllLines(Path.Combine(folder, "fine_label_names.txt"), Enumerable.Range(0, 100).Select(label => $"fine_{label}"));
        File.WriteAllLines(Path.Combine(folder, "coarse_label_names.txt"), Enumerable.Range(0, 20).Select(label => $"coarse_{label}"));
        return folder;
    }

    /// <summary>A file of images as Python 2 pickled it.</summary>
    /// <param name="first">The first image.</param>
    /// <param name="labels">Lists of labels by their keys.</param>
    public static byte[] Pickle(int first, params (string Key, int[] Labels)[] labels) => Pickle(Python2, Array(first, labels[0].Labels.Length), labels);

    /// <summary>The same with an array that is written otherwise.</summary>
    public static byte[] Pickle(Func<PickleBuilder, string, PickleBuilder> write, Func<PickleBuilder, PickleBuilder> array, params (string Key, int[] Labels)[] labels)
    {
        var pickle = write(new PickleBuilder().Op(Op.EmptyDict, Op.Mark), "batch_label");
        array(write(write(pickle, "testing batch 1 of 1"), "data"));
        foreach (var (key, list) in labels)
        {
            write(pickle, key).Op(Op.EmptyList, Op.Mark);
            System.Array.ForEach(list, label => pickle.Op(Op.BinInt1).Raw((byte)label));
            pickle.Op(Op.Appends);
        }

        return pickle.Op(Op.SetItems).Finish();
    }

    /// <summary>A dict with one list of names.</summary>
    public static byte[] PickledNames(params (string Key, IEnumerable<string> Names)[] lists)
    {
        var pickle = new PickleBuilder().Op(Op.EmptyDict);
        foreach (var (key, names) in lists)
        {
            Python2(pickle, key).Op(Op.EmptyList, Op.Mark);
            names.ToList().ForEach(name => Python2(pickle, name));
            pickle.Op(Op.Appends, Op.SetItem);
        }

        return pickle.Finish();
    }

    /// <summary>A string of Python 2, bytes for Python 3.</summary>
    public static PickleBuilder Python2(PickleBuilder pickle, string text) => Python2(pickle, Encoding.Latin1.GetBytes(text));

    /// <summary>Bytes as Python 3 writes them in protocol 2, when a file was loaded with encoding="bytes" and saved again.</summary>
    public static PickleBuilder Python3(PickleBuilder pickle, string latin1) =>
        pickle.Global("_codecs", "encode").Text(latin1).Text("latin1").Op(Op.Tuple2, Op.Reduce);

    /// <summary>An array of images, by Python 2.</summary>
    public static Func<PickleBuilder, PickleBuilder> Array(int first, int count, bool isFortran = false, string type = "u1", int columns = Values)
    {
        byte[] values = [.. Enumerable.Range(first, count).SelectMany(Planes)];
        byte[] stored = isFortran ? [.. Enumerable.Range(0, values.Length).Select(at => values[(at % count * Values) + (at / count)])] : values;
        return pickle => Python2(Header(pickle, Python2, count, columns, type).Op(isFortran ? Op.NewTrue : Op.NewFalse), stored).Op(Op.Tuple, Op.Build);
    }

    /// <summary>An array of images, by Python 3 in protocol 2.</summary>
    public static Func<PickleBuilder, PickleBuilder> ArrayOfPython3(int first, int count) => pickle => Python3(
        Header(pickle, (inner, text) => inner.Text(text), count, Values, "u1").Op(Op.NewFalse),
        Encoding.Latin1.GetString([.. Enumerable.Range(first, count).SelectMany(Planes)])).Op(Op.Tuple, Op.Build);

    private static PickleBuilder Header(PickleBuilder pickle, Func<PickleBuilder, string, PickleBuilder> write, int count, int columns, string type)
    {
        write(pickle.Global("numpy.core.multiarray", "_reconstruct").Global("numpy", "ndarray").Tuple(0), "b").Op(Op.Tuple3, Op.Reduce);
        write(pickle.Op(Op.Mark).Int(1).Tuple(count, columns).Global("numpy", "dtype"), type).Int(0).Int(1).Op(Op.Tuple3, Op.Reduce);
        return write(pickle.Op(Op.Mark).Int(3), "|").Op(Op.None, Op.None, Op.None).Int(-1).Int(-1).Int(0).Op(Op.Tuple, Op.Build);
    }

    private static PickleBuilder Python2(PickleBuilder pickle, byte[] bytes) => bytes.Length < 256
        ? pickle.Op(Op.ShortBinString).Raw((byte)bytes.Length).Raw(bytes)
        : pickle.Op(Op.BinString).Raw(BitConverter.GetBytes(bytes.Length)).Raw(bytes);
}
