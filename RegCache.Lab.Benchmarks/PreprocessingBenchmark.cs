using System.Diagnostics;
using RegCache.Lab.Data;
using RegCache.Lab.Data.Images;
using RegCache.Lab.Data.Images.Decoding;

namespace RegCache.Lab.Benchmarks;

/// <summary>
/// Images a second from JPEG files of 500 x 375 pixels to normalised input of 224 x 224: with one worker and with two,
/// against Pillow and NumPy on one core; and the decoding alone, by libjpeg-turbo and by SkiaSharp. The contestants take turns, so that whatever else runs on the machine slows all
/// of them; ratios are medians over the rounds.
/// </summary>
public static class PreprocessingBenchmark
{
    private const int Size = 224;
    private const int BatchSize = 16;

    /// <summary>Measures and prints a table.</summary>
    /// <param name="output">Where the table goes.</param>
    /// <param name="images">Files a turn.</param>
    /// <param name="rounds">Turns of each contestant.</param>
    public static void Run(TextWriter output, int images = 128, int rounds = 9)
    {
        var folder = Directory.CreateTempSubdirectory("regcache-preprocessing-");
        try
        {
            var files = PreprocessingPictures.Write(folder.FullName, images);
            output.WriteLine(
                $"{images} JPEG files of 500 x 375, {files.Average(file => new FileInfo(file).Length) / 1024:F0} KiB each, " +
                $"to {Size} x {Size}; {rounds} rounds in turn");
            using var pillow = PreprocessingPillow.TryStart(files, Size);
            if (pillow is null)
            {
                output.WriteLine("Pillow: not measured, no python3 with PIL and numpy was found");
            }

            Measure(output, files, rounds, pillow);
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    private static void Measure(TextWriter output, string[] files, int rounds, PreprocessingPillow? pillow)
    {
        var preprocessor = new ImagePreprocessor(new PreprocessOptions(Size));
        var single = new ImageBatchReader(new ImageFileItems(files), preprocessor, new ImageReaderOptions { Workers = 1 });
        var pair = new ImageBatchReader(new ImageFileItems(files), preprocessor, new ImageReaderOptions { Workers = 2 });
        List<double> one = [], two = [], reference = [], bytes = [], bytesReference = [], turbo = [], skia = [];
        for (var round = -1; round < rounds; round++)
        {
            var turn = (
                One: Read(single),
                Pillow: pillow?.Time(floats: true) ?? double.NaN,
                Two: Read(pair),
                Bytes: DecodeAndResize(files, preprocessor),
                PillowBytes: pillow?.Time(floats: false) ?? double.NaN,
                Turbo: Decode(files, TurboJpeg.Instance),
                Skia: Decode(files, null));
            // The first round compiles and fills the file cache.
            if (round >= 0)
            {
                one.Add(turn.One);
                two.Add(turn.Two);
                reference.Add(turn.Pillow);
                bytes.Add(turn.Bytes);
                bytesReference.Add(turn.PillowBytes);
                turbo.Add(turn.Turbo);
                skia.Add(turn.Skia);
            }
        }

        PrintSpeed(output, "Pillow, one core", reference, files.Length);
        PrintSpeed(output, "kit, one worker", one, files.Length);
        PrintSpeed(output, "kit, two workers", two, files.Length);
        PrintSpeed(output, "Pillow, one core, bytes only", bytesReference, files.Length);
        PrintSpeed(output, "kit, one core, bytes only", bytes, files.Length);
        PrintSpeed(output, "decoding only, libjpeg-turbo", turbo, files.Length);
        PrintSpeed(output, "decoding only, SkiaSharp", skia, files.Length);
        PrintRatio(output, "kit / Pillow, one core", reference, one);
        PrintRatio(output, "kit / Pillow, one core, bytes only", bytesReference, bytes);
        PrintRatio(output, "SkiaSharp / libjpeg-turbo", turbo, skia);
        PrintRatio(output, "two workers / one worker", one, two);
    }

    private static double Read(ImageBatchReader reader)
    {
        var watch = Stopwatch.StartNew();
        var read = reader.Read(BatchSize).Sum(batch => batch.Count);
        watch.Stop();
        return read == reader.Items.Count ? watch.Elapsed.TotalSeconds : throw new InvalidOperationException("Images are missing.");
    }

    private static double DecodeAndResize(string[] files, ImagePreprocessor preprocessor)
    {
        var rgb = new byte[preprocessor.OutputLength];
        var watch = Stopwatch.StartNew();
        foreach (var file in files)
        {
            using var image = ImageDecoder.Load(file);
            preprocessor.ToRgb(image, rgb);
        }

        return watch.Elapsed.TotalSeconds;
    }

    private static double Decode(string[] files, TurboJpeg? library)
    {
        var watch = Stopwatch.StartNew();
        foreach (var file in files)
        {
            using var content = FileContent.Read(file);
            JpegDecoder.Decode(library, content.Bytes, file, DecodingOptions.Default).Dispose();
        }

        return watch.Elapsed.TotalSeconds;
    }

    private static void PrintSpeed(TextWriter output, string name, List<double> seconds, int images)
    {
        if (!double.IsNaN(seconds[0]))
        {
            output.WriteLine($"  {name,-36} {images / Median(seconds),8:F0} images/s   {1000 * Median(seconds) / images,6:F2} ms");
        }
    }

    private static void PrintRatio(TextWriter output, string name, List<double> baseline, List<double> seconds)
    {
        if (!double.IsNaN(baseline[0]))
        {
            var ratios = baseline.Zip(seconds, (a, b) => a / b).Order().ToList();
            output.WriteLine($"  {name,-36} {Median(ratios),8:F2} x          {ratios[0]:F2} to {ratios[^1]:F2}");
        }
    }

    private static double Median(IReadOnlyCollection<double> values)
    {
        var sorted = values.Order().ToList();
        return (sorted[(sorted.Count - 1) / 2] + sorted[sorted.Count / 2]) / 2;
    }
}
