using System.Globalization;
using RegCache.Lab.Reports;

namespace RegCache.Lab.Encoders.Checkpoints;

/// <summary>
/// Writes files that <c>torch.load</c> reads: PyTorch's zip form, with a state dict or a whole training checkpoint.
/// </summary>
public static class PyTorchZipWriter
{
    private const string Folder = "archive/";

    /// <summary>Writes a state dict.</summary>
    /// <exception cref="UserException">Two tensors have one name, or the file cannot be written.</exception>
    public static void WriteStateDict(string path, IEnumerable<WeightEntry> tensors)
    {
        ArgumentNullException.ThrowIfNull(tensors);
        var dict = new PythonDict();
        foreach (var tensor in tensors)
        {
            if (dict.TryGet<object>(tensor.Name, out _))
            {
                throw new UserException($"Cannot write {path}: two tensors are called {tensor.Name}.");
            }

            dict[tensor.Name] = tensor;
        }

        Write(path, dict);
    }

    /// <summary>
    /// Writes any tree of plain values and tensors (see <see cref="PythonDict"/>), such as a training checkpoint. Every
    /// tensor is stored on its own and packed, so views of one storage come back as copies.
    /// </summary>
    /// <exception cref="UserException">A value is of a type that a checkpoint cannot hold, or the file cannot be written.</exception>
    public static void Write(string path, PythonDict root) => Write(path, root, uint.MaxValue);

    internal static void Write(string path, PythonDict root, long zip64From)
    {
        var (pickle, storages) = Pickler.Pickle(root);
        AtomicFile.Write(path, stream =>
        {
            var archive = new ZipWriter(stream, zip64From);
            AddBytes(archive, "data.pkl", pickle);
            AddBytes(archive, "byteorder", "little"u8.ToArray());
            for (var index = 0; index < storages.Count; index++)
            {
                var storage = storages[index];
                archive.Add(Folder + "data/" + index.ToString(CultureInfo.InvariantCulture), storage.ByteCount, storage.WriteTo);
            }

            AddBytes(archive, "version", "3\n"u8.ToArray());
            archive.Finish();
        });
    }

    private static void AddBytes(ZipWriter archive, string name, byte[] content) =>
        archive.Add(Folder + name, content.Length, stream => stream.Write(content));
}
