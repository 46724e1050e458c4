using CsvHelper;
using RegCache.Lab.Data.Images;
using RegCache.Lab.Reports;

namespace RegCache.Lab.Data;

/// <summary>How a table of image-text pairs is read, under OpenCLIP's names and defaults.</summary>
/// <param name="Separator">What separates columns, one ASCII character.</param>
/// <param name="ImageKey">The column of image paths.</param>
/// <param name="CaptionKey">The column of captions.</param>
public sealed record CsvPairOptions(char Separator = '\t', string ImageKey = "filepath", string CaptionKey = "title");

/// <summary>
/// Image-text pairs in a table, OpenCLIP's second format: a header, then a row for each pair with the path of an image and its caption.
/// Relative paths begin in the working folder, as in OpenCLIP, or in the table's where the first image lies there and not here. Rows
/// without a path or a caption are left out, and counted in <see cref="Inventory"/>.
/// </summary>
public sealed class CsvPairSource : IPairSource
{
    private readonly List<(string Path, string Caption)> _pairs = [];
    private readonly string _folder;
    private readonly DecodingOptions _decoding;

    /// <summary>Reads a table; no image is touched yet.</summary>
    /// <param name="path">The table.</param>
    /// <param name="options">How it is read.</param>
    /// <param name="decoding">Which image files are taken; null: the defaults.</param>
    /// <exception cref="UserException">The table cannot be read, lacks a column, or has no pair.</exception>
    public CsvPairSource(string path, CsvPairOptions options, DecodingOptions? decoding = null)
    {
        _decoding = decoding ?? DecodingOptions.Default;
        var leftOut = new LeftOutCounter();
        LabelTable.ReadText(path, text =>
        {
            using var csv = CsvReader.Create(
                text, new CsvReaderOptions { Separator = options.Separator, MalformedData = CsvMalformedDataHandling.Throw });
            csv.ReadHeader();
            var (image, caption) = (Column(csv, path, options, options.ImageKey, "csv_img_key"), Column(csv, path, options, options.CaptionKey, "csv_caption_key"));
            while (csv.Read())
            {
                string Field(int column) => column < csv.FieldCount ? csv.GetString(column) : "";
                if (Field(image).Length == 0 || string.IsNullOrWhiteSpace(Field(caption)))
                {
                    leftOut.Add(Field(image).Length == 0 ? "rows without an image" : "rows without a caption", $"row {csv.RowNumber}");
                    continue;
                }

                _pairs.Add((Field(image), Field(caption)));
            }
        });
        if (_pairs.Count == 0)
        {
            var reasons = leftOut.Reasons.Count == 0 ? "it has no rows below its header" : $"left out: {string.Join("; ", leftOut.Reasons)}";
            throw new UserException($"The table {path} has no image-text pair: {reasons}.");
        }

        var own = Path.GetDirectoryName(Path.GetFullPath(path))!;
        _folder = !File.Exists(_pairs[0].Path) && File.Exists(Path.Combine(own, _pairs[0].Path)) ? own : Environment.CurrentDirectory;
        Inventory = new($"the table {path}", $"{_pairs.Count} image-text pairs, images in {_folder}", leftOut.Reasons, [.. CaptionCheck.Warnings(this)]);
        Fingerprint = $"{ContentHash.OfFile(path)}/{options.Separator}/{options.ImageKey}/{options.CaptionKey}{_decoding.Key}";
    }

    /// <inheritdoc />
    public int Count => _pairs.Count;

    /// <inheritdoc />
    public string Fingerprint { get; }

    /// <inheritdoc />
    public DataInventory Inventory { get; }

    /// <summary>Whether a name is that of a table rather than a shard, as OpenCLIP tells them apart.</summary>
    public static bool Recognises(string path) => Path.GetExtension(path).ToLowerInvariant() is ".csv" or ".tsv";

    /// <inheritdoc />
    public string Name(int index) => Path.Combine(_folder, _pairs[index].Path);

    /// <inheritdoc />
    public DecodedImage Load(int index) => ImageDecoder.Load(Name(index), _decoding);

    /// <inheritdoc />
    public string Caption(int index) => _pairs[index].Caption;

    /// <inheritdoc />
    public void Dispose()
    {
    }

    private static int Column(CsvReader csv, string path, CsvPairOptions options, string name, string field)
    {
        var headers = csv.Headers.ToList();
        var column = headers.IndexOf(name);
        if (column >= 0)
        {
            return column;
        }

        var separator = options.Separator == '\t' ? "a tab" : $"'{options.Separator}'";
        throw new UserException(
            $"The table {path} has no column `{name}` (`{field}`) but {string.Join(", ", headers.Select(header => $"`{header}`"))}, " +
            $"with {separator} between columns (`csv_separator`): set these fields of the configuration.");
    }
}
