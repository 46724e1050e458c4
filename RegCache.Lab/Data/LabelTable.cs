using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;
using CsvHelper;
using RegCache.Lab.Reports;

namespace RegCache.Lab.Data;

/// <summary>A row of a table of labels.</summary>
/// <param name="Number">Which row, counted from 1.</param>
/// <param name="Image">The image as the table calls it, with or without folders and extension.</param>
/// <param name="Label">The class: its number, its WordNet id or its name.</param>
internal readonly record struct LabelRow(int Number, string Image, string Label);

/// <summary>
/// Tables that say which class the images of a folder have: lines "name label" as Caffe's lists (<c>val.txt</c>), tables "name,label" with or
/// without a header (<c>labels.csv</c>), and Kaggle's <c>LOC_val_solution.csv</c>, whose second column has boxes behind the class.
/// </summary>
internal static partial class LabelTable
{
    private static readonly string[] _imageColumns =
        ["imageid", "image_id", "image", "img", "filename", "file_name", "file", "filepath", "path", "name", "image_name", "id"];

    private static readonly string[] _labelColumns =
        ["predictionstring", "label", "class", "wnid", "synset", "target", "class_id", "class_name", "label_id", "label_name"];

    /// <summary>Whether a file is called like a table.</summary>
    public static bool IsTable(string path) => Separator(path) is not null || Path.GetExtension(path).Equals(".txt", StringComparison.OrdinalIgnoreCase);

    /// <summary>Reads a table row by row.</summary>
    /// <param name="path">The table.</param>
    /// <param name="take">Is given the rows below the header.</param>
    /// <exception cref="UserException">
    /// It cannot be read, is not UTF-8, has no column of images or of labels; or <paramref name="take"/> refuses a row.
    /// </exception>
    public static void Read(string path, Action<LabelRow> take) => ReadText(path, text =>
    {
        if (Separator(path) is { } separator)
        {
            ReadColumns(path, text, separator, take);
        }
        else
        {
            ReadLines(path, text, take);
        }
    });

    /// <summary>Reads the text of any table.</summary>
    /// <param name="path">The table.</param>
    /// <param name="read">Reads it from the beginning, as CSV or line by line.</param>
    /// <exception cref="UserException">It cannot be read, is not UTF-8, or its quotes do not match.</exception>
    public static void ReadText(string path, Action<StreamReader> read)
    {
        try
        {
            using var text = new StreamReader(path, new UTF8Encoding(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true));
            read(text);
        }
        catch (CsvFormatException exception)
        {
            throw new UserException($"The table {path} cannot be read: the quotes of row {exception.RecordNumber} do not match; mend it.", exception);
        }
        catch (DecoderFallbackException exception)
        {
            throw new UserException($"The table {path} is not UTF-8: convert it.", exception);
        }
        catch (Exception exception) when (FileErrors.IsFileError(exception))
        {
            throw FileErrors.ToUserException(exception, $"The table {path} cannot be read");
        }
    }

    private static char? Separator(string path) => Path.GetExtension(path).ToLowerInvariant() switch
    {
        ".csv" => ',',
        ".tsv" => '\t',
        _ => null,
    };

    private static void ReadLines(string path, StreamReader text, Action<LabelRow> take)
    {
        for (var number = 1; text.ReadLine() is { } line; number++)
        {
            line = line.Trim();
            if (line.Length == 0)
            {
                continue;
            }

            // A class may be called by several words, a file as a rule by one.
            var at = line.IndexOf('\t') is >= 0 and var tab ? tab : line.LastIndexOf(' ') is >= 0 and var space ? space : line.IndexOf(',');
            if (at < 1)
            {
                throw NoPair(path, number, line);
            }

            var (image, label) = (line[..at].TrimEnd(' ', ','), line[(at + 1)..].TrimStart(' ', ','));
            if (number > 1 || !IsHeader([image, label]))
            {
                take(new(number, image, label));
            }
        }
    }

    private static UserException NoPair(string path, int number, string line) => GroundTruth().IsMatch(line)
        ? new UserException(
            $"{path} has numbers alone, as the devkit's ILSVRC2012_validation_ground_truth.txt: they count the devkit's own list of classes (meta.mat), " +
            "which is not in the order of the WordNet ids, so they say nothing without it; use a table with lines \"image WordNet-id\" (LOC_val_solution.csv, labels.csv) or \"image number\" (Caffe's val.txt).")
        : new UserException($"The table {path} has '{Shortened(line)}' in row {number}, where an image and a label belong: name a table of labels.");

    private static void ReadColumns(string path, StreamReader text, char separator, Action<LabelRow> take)
    {
        using var csv = CsvReader.Create(
            text, new CsvReaderOptions { Separator = separator, HasHeader = false, MalformedData = CsvMalformedDataHandling.Throw });
        var (image, label, boxes) = (0, 1, false);
        for (var number = 1; csv.Read(); number++)
        {
            string Field(int column) => column < csv.FieldCount ? csv.GetString(column).Trim() : "";
            if (number == 1)
            {
                string[] cells = [.. Enumerable.Range(0, csv.FieldCount).Select(Field)];
                var isHeader = IsHeader(cells);
                (image, label) = isHeader ? (Column(path, cells, _imageColumns, "images"), Column(path, cells, _labelColumns, "labels"))
                    : cells.Length == 2 ? (0, 1)
                    : cells.Length == 1 ? throw NoPair(path, number, cells[0])
                    : throw new UserException($"The table {path} has {cells.Length} columns and no header that says which are the images and the labels: add one, like \"image,label\".");
                boxes = isHeader && cells[label].Equals("PredictionString", StringComparison.OrdinalIgnoreCase);
                if (isHeader)
                {
                    continue;
                }
            }

            var row = new LabelRow(number, Field(image), boxes ? ClassOfBoxes(path, number, Field(label)) : Field(label));
            take(row.Image.Length > 0 && row.Label.Length > 0
                ? row
                : throw new UserException($"The table {path} has no {(row.Image.Length == 0 ? "image" : "label")} in row {number}: complete or remove the row."));
        }
    }

    private static bool IsHeader(string[] cells) => cells.Any(cell => _labelColumns.Contains(cell.ToLowerInvariant()));

    private static int Column(string path, string[] cells, string[] known, string what) =>
        Array.FindIndex(cells, cell => known.Contains(cell.ToLowerInvariant())) is >= 0 and var column
            ? column
            : throw new UserException($"The table {path} has no column of {what} but {string.Join(", ", cells.Select(cell => $"`{cell}`"))}: call it {known[^2]} or {known[1]}.");

    // "n01978287 85 1 499 272 n01978287 ...": five words a box, of one class in all of ImageNet's validation images.
    private static string ClassOfBoxes(string path, int number, string text)
    {
        string[] classes = [.. text.Split(' ', StringSplitOptions.RemoveEmptyEntries).Chunk(5).Select(box => box[0]).Distinct()];
        return classes switch
        {
            [] => "",
            [var only] => only,
            _ => throw new UserException($"The table {path} has objects of {classes.Length} classes in row {number} ({string.Join(", ", classes.Take(3))}): an image has one label."),
        };
    }

    private static string Shortened(string text) => text.Length > 40 ? $"{text[..40]}..." : text;

    [GeneratedRegex("^[0-9]+$")]
    private static partial Regex GroundTruth();
}

/// <summary>
/// Gives the images of a folder the labels of a table, row by row. The words that stand for labels are numbered as they come; what they
/// mean is decided when all are known.
/// </summary>
/// <param name="table">The table, for messages.</param>
/// <param name="images">Names in the folder, sorted by character code.</param>
/// <param name="root">The folder, for messages.</param>
/// <param name="leftOut">Counts labels without an image.</param>
internal sealed class Labelling(string table, List<string> images, string root, LeftOutCounter leftOut)
{
    private const int MostClasses = 1_000_000;
    private const int LongSet = 1000;

    private readonly int[] _words = Filled(images.Count);
    private readonly OrderedDictionary<string, int> _rowOfWord = [];
    private int _rows;
    private bool _countsRows = true;

    /// <summary>The table.</summary>
    public string Table => table;

    /// <summary>Images with a label.</summary>
    public int Found { get; private set; }

    /// <summary>Labels without an image.</summary>
    public int Missing { get; private set; }

    /// <summary>The first image that the table has and the folder has not.</summary>
    public string? FirstMissing { get; private set; }

    /// <summary>Takes a row.</summary>
    /// <exception cref="UserException">Its image has a label already, or may be one of several.</exception>
    public void Add(LabelRow row)
    {
        _rows++;
        _countsRows &= row.Label == $"{row.Number}";
        _rowOfWord.TryAdd(row.Label, row.Number);
        var word = _rowOfWord.IndexOf(row.Label);
        if (Find(row) is not { } image)
        {
            Missing++;
            FirstMissing ??= row.Image;
            leftOut.Add("labels of images that are not there", row.Image);
            return;
        }

        if (_words[image] >= 0)
        {
            throw new UserException($"The table {table} labels {row.Image} again in row {row.Number}: remove one of the rows.");
        }

        _words[image] = word;
        Found++;
    }

    /// <summary>The label of every image, -1 for those without one, and the names of the classes.</summary>
    /// <param name="classes">The list of classes; null: the labels that occur are the classes.</param>
    /// <exception cref="UserException">No image has a label, a label is no class, or labels only count the rows.</exception>
    public (int[] Labels, IReadOnlyList<string> Names) Finish(ClassNameFile? classes)
    {
        if (Found == 0)
        {
            throw new UserException(_rows == 0
                ? $"The table {table} is empty: name a table of labels."
                : $"None of the {_rows} images that {table} labels is in {root} ({FirstMissing} is not, {(images.Count > 0 ? $"{images[0]} is" : "nor is another")}): name the folder that belongs to the table.");
        }

        // The lists of the development kit number their lines.
        if (_countsRows && _rows > LongSet)
        {
            throw new UserException($"The table {table} gives every image the number of its row, which is no class: name a table of labels.");
        }

        // Numbers that cannot be labels, such as -1 and 3.0, are refused: sorted as names they would be other classes than they say.
        var (numbers, names) = _rowOfWord.Keys.All(word => double.TryParse(word, CultureInfo.InvariantCulture, out _))
            ? ByNumber(classes)
            : ByName(classes);
        return ([.. _words.Select(word => word < 0 ? -1 : numbers[word])], names);
    }

    private static int[] Filled(int count)
    {
        var words = new int[count];
        Array.Fill(words, -1);
        return words;
    }

    private (int[] Numbers, IReadOnlyList<string> Names) ByNumber(ClassNameFile? classes)
    {
        var count = classes?.Names.Count ?? MostClasses;
        int[] numbers = [.. _rowOfWord.Keys.Select(word =>
            int.TryParse(word, NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number < count ? number : -1)];
        if (Array.IndexOf(numbers, -1) is >= 0 and var wrong)
        {
            var (word, row) = _rowOfWord.GetAt(wrong);
            throw new UserException(
                $"The table {table} has the label {word} in row {row}, but classes are numbered from 0 to {count - 1}" +
                $"{(classes is null ? "" : $" ({classes.Path})")}: correct the label or the list of classes{(word == $"{count}" ? ", or count from 0" : "")}.");
        }

        return (numbers, classes?.Names ?? ClassNaming.Numbers(numbers.Max() + 1));
    }

    private (int[] Numbers, IReadOnlyList<string> Names) ByName(ClassNameFile? classes)
    {
        IReadOnlyList<string> names = classes?.Names ?? [.. _rowOfWord.Keys.Order(StringComparer.Ordinal)];
        var number = new Dictionary<string, int>(StringComparer.Ordinal);
        foreach (var (label, name) in names.Index())
        {
            number.TryAdd(name, label);
        }

        return _rowOfWord.FirstOrDefault(word => !number.ContainsKey(word.Key)) is { Key: { } unknown, Value: var row }
            ? throw new UserException($"The table {table} has the label '{unknown}' in row {row}, which {classes!.Path} does not list: correct the label or the list of classes.")
            : ([.. _rowOfWord.Keys.Select(word => number[word])], names);
    }

    // The names in the folder are sorted, so that no second list of them is needed.
    private int? Find(LabelRow row)
    {
        var name = row.Image[(row.Image.LastIndexOfAny(['/', '\\']) + 1)..];
        if (images.BinarySearch(name, StringComparer.Ordinal) is >= 0 and var exact)
        {
            return exact;
        }

        var stem = $"{name}.";
        int? found = null;
        for (var next = ~images.BinarySearch(stem, StringComparer.Ordinal);
            next >= 0 && next < images.Count && images[next].StartsWith(stem, StringComparison.Ordinal);
            next++)
        {
            if (images[next].LastIndexOf('.') == name.Length)
            {
                found = found is null
                    ? next
                    : throw new UserException($"The table {table} has {row.Image} in row {row.Number}, which may be {images[found.Value]} or {images[next]}: add the extension.");
            }
        }

        return found;
    }
}
