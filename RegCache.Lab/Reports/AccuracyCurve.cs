using System.Globalization;
using System.Text.RegularExpressions;
using CsvHelper;
using RegCache.Lab.Encoders;

namespace RegCache.Lab.Reports;

/// <summary>A point of an accuracy curve.</summary>
/// <param name="Epoch">Epochs trained, as the log says, or the number of the line among its kind.</param>
/// <param name="Top1">Top-1 accuracy, a share from 0 to 1.</param>
/// <param name="Top5">Top-5 accuracy; null where the log tells none.</param>
public readonly record struct AccuracyPoint(double Epoch, double Top1, double? Top5);

/// <summary>
/// How accuracy grew during a training, read from its log: this kit's, or those of OpenCLIP's and of ImageNet's training scripts. Of several lines for
/// one epoch, as where a training went on after a kill, the last one counts.
/// </summary>
/// <param name="Name">The log's name.</param>
/// <param name="Points">The points, by epoch.</param>
public sealed partial record AccuracyCurve(string Name, ValueList<AccuracyPoint> Points)
{
    private const string RunLog = "run.log";

    /// <summary>The best point.</summary>
    public AccuracyPoint Best => Points.MaxBy(point => point.Top1);

    /// <summary>Reads a log.</summary>
    /// <param name="path">A text file, or the run directory of a training.</param>
    /// <exception cref="UserException">It cannot be read, or holds no accuracy.</exception>
    public static AccuracyCurve Read(string path)
    {
        var isRun = Directory.Exists(path);
        var file = isRun ? Path.Combine(path, RunLog) : path;
        try
        {
            return Parse(isRun ? Path.GetFileName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(path))) : Path.GetFileNameWithoutExtension(path), File.ReadLines(file))
                ?? throw new UserException(
                    $"{file} tells no accuracy: neither a line `Eval Epoch: ... imagenet-zeroshot-val-top1: ...` nor one `Test: Acc@1 ... Acc@5 ...`; give the log of a training that measured it (--imagenet-val).");
        }
        catch (Exception exception) when (FileErrors.IsFileError(exception))
        {
            throw FileErrors.ToUserException(exception, $"The log {file} cannot be read");
        }
    }

    /// <summary>The curve of a log's lines; null where they tell no accuracy.</summary>
    /// <param name="name">What it is called.</param>
    /// <param name="lines">The lines.</param>
    public static AccuracyCurve? Parse(string name, IEnumerable<string> lines)
    {
        var (points, tests) = (new SortedDictionary<double, AccuracyPoint>(), 0);
        foreach (var line in lines)
        {
            if (ZeroShot().Match(line) is { Success: true } zeroShot)
            {
                var epoch = Number(zeroShot, "epoch");
                points[epoch] = new(epoch, Number(zeroShot, "top1"), zeroShot.Groups["top5"].Success ? Number(zeroShot, "top5") : null);
            }
            else if (ImageNet().Match(line) is { Success: true } test)
            {
                // These scripts count in percent, and name no epoch.
                points[++tests] = new(tests, Number(test, "top1") / 100, Number(test, "top5") / 100);
            }
        }

        return points.Count == 0 ? null : new(name, [.. points.Values]);
    }

    /// <summary>The points as rows of a table.</summary>
    public IEnumerable<AccuracyRow> Rows() => Points.Select(point => new AccuracyRow(Name, point.Epoch, point.Top1, point.Top5));

    private static double Number(Match match, string group) => double.Parse(match.Groups[group].ValueSpan, NumberStyles.Float, CultureInfo.InvariantCulture);

    [GeneratedRegex(
        @"Eval Epoch:\s*(?<epoch>\d+(\.\d+)?)\b.*?\bimagenet-zeroshot-val-top1:\s*(?<top1>\d+(\.\d+)?(e-?\d+)?)(.*?\bimagenet-zeroshot-val-top5:\s*(?<top5>\d+(\.\d+)?(e-?\d+)?))?",
        RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture)]
    private static partial Regex ZeroShot();

    [GeneratedRegex(@"\bTest:.*?Acc@1\s+(?<top1>\d+(\.\d+)?)\s+Acc@5\s+(?<top5>\d+(\.\d+)?)", RegexOptions.CultureInvariant | RegexOptions.ExplicitCapture)]
    private static partial Regex ImageNet();
}

/// <summary>A row of a table of accuracy curves.</summary>
/// <param name="Log">The log.</param>
/// <param name="Epoch">Epochs trained.</param>
/// <param name="Top1">Top-1 accuracy, a share from 0 to 1.</param>
/// <param name="Top5">Top-5 accuracy; empty where the log tells none.</param>
[CsvRecord]
public sealed partial record AccuracyRow(string Log, double Epoch, double Top1, double? Top5);
