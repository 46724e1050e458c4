using System.Text;
using RegCache.Lab.Encoders.Checkpoints;
using RegCache.Lab.Reports;

namespace RegCache.Lab.Data;

/// <summary>
/// Files of CIFAR's Python version: dicts that Python 2 pickled, with an array of bytes under <c>data</c> and lists of numbers under
/// <c>labels</c>, <c>fine_labels</c> and <c>coarse_labels</c>. They are read as the kit reads checkpoints: nothing in them is executed, and
/// nothing but plain data is taken. The array stays in the file; only its place is learned.
/// </summary>
internal static class CifarPickle
{
    private const string What = "pickled file of CIFAR";

    /// <summary>A list of names in a file such as <c>batches.meta</c>.</summary>
    /// <exception cref="UserException">The file cannot be read, or holds something else.</exception>
    public static IReadOnlyList<string> ReadClassNames(string path, string key)
    {
        using var file = MappedFile.Open(path, What);
        return Get(Load(file), key, path) is List<object?> { Count: > 0 } names && names.All(name => Text(name) is { Length: > 0 })
            ? [.. names.Select(name => Text(name)!)]
            : throw Wrong(path, key, "a list of class names");
    }

    /// <summary>Opens a file of images.</summary>
    /// <param name="path">The file.</param>
    /// <param name="key">The key of the labels.</param>
    /// <exception cref="UserException">The file cannot be read, or holds something else.</exception>
    public static CifarBatch Open(string path, string key)
    {
        using var file = MappedFile.Open(path, What);
        var content = Load(file);
        if (Get(content, key, path) is not List<object?> list || !list.TrueForAll(label => label is >= 0L and <= int.MaxValue))
        {
            throw Wrong(path, key, "a list of whole numbers");
        }

        List<int> labels = [.. list.Cast<long>().Select(label => (int)label)];
        var (rows, isFortran, data) = Array(Get(content, "data", path), path);
        if (rows != labels.Count)
        {
            throw new UserException($"{path} has {rows} images and {labels.Count} `{key}`: unpack the archive again.");
        }

        var (record, value) = isFortran ? (1L, (long)rows) : (CifarBatch.Values, 1);
        if (data is not PickledBytes range)
        {
            return new(path, null, Bytes(data)!, 0, record, value, labels);
        }

        try
        {
            return new(path, File.OpenHandle(path), [], range.Start, record, value, labels);
        }
        catch (Exception exception) when (FileErrors.IsFileError(exception))
        {
            throw FileErrors.ToUserException(exception, $"The file {path} cannot be read");
        }
    }

    private static PythonDict Load(MappedFile file) =>
        Unpickler.Load(file.SpanFrom(0), file.Path, _ => throw new UserException($"{file.Path} refers to data outside of it: unpack the archive again."), out _) as PythonDict
            ?? throw new UserException($"{file.Path} is no pickled dict as CIFAR's Python version has it: unpack the archive again.");

    // numpy makes an array by _reconstruct(ndarray, (0,), b"b") and restores it from (version, shape, dtype, is Fortran's order, bytes).
    private static (int Rows, bool IsFortran, object? Data) Array(object? value, string path) =>
        value is PythonObject
        {
            Type: "numpy.core.multiarray _reconstruct" or "numpy._core.multiarray _reconstruct",
            State: object?[] and [_, object?[] and [long rows and > 0 and <= int.MaxValue, (long)CifarBatch.Values], PythonObject { Type: "numpy dtype", Arguments: [var type, ..] }, bool isFortran, var data],
        }
        && Text(type) is "u1" or "|u1"
        && ((data as PickledBytes)?.Length ?? Bytes(data)?.Length) == rows * CifarBatch.Values
            ? ((int)rows, isFortran, data)
            : throw Wrong(path, "data", $"a numpy array of bytes [images, {CifarBatch.Values}]");

    // Python 2 wrote strings, Python 3 writes bytes where those are loaded as such and saved again.
    private static object? Get(PythonDict content, string key, string path) =>
        content.FirstOrDefault(pair => Text(pair.Key) == key) is { Key: not null, Value: var value }
            ? value
            : throw new UserException($"{path} has no `{key}` but {string.Join(", ", content.Keys.Select(other => $"`{Text(other) ?? other}`").Take(6))}: unpack the archive again.");

    private static string? Text(object? value) => value switch
    {
        string text => text,
        byte[] bytes => Encoding.Latin1.GetString(bytes),
        _ => null,
    };

    private static byte[]? Bytes(object? value) => value switch
    {
        string text => Encoding.Latin1.GetBytes(text),
        byte[] bytes => bytes,
        _ => null,
    };

    private static UserException Wrong(string path, string key, string expected) => new($"`{key}` in {path} is not {expected}: unpack the archive again.");
}
