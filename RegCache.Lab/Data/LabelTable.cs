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
    public static void Read(string path, Action<LabelRow> take)
    {
        try
        {
            using var text = new StreamReader(path, new UTF8Encoding(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true));
            if (Separator(path) is { } separator)
            {
                ReadColumns(path, text, separator, take);
            }
            else
            {
                ReadLines(path, text, take);
            }
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
