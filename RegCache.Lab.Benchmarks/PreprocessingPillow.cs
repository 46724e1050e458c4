using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;

namespace RegCache.Lab.Benchmarks;

/// <summary>The same work in a Python process with Pillow and NumPy, timed inside Python.</summary>
internal sealed class PreprocessingPillow : IDisposable
{
    private const string Script =
        """
        import sys, time
        import numpy as np
        from PIL import Image

        size = int(sys.argv[1])
        files = sys.stdin.readline().rstrip("\n").split("\t")
        mean = np.array([0.48145466, 0.4578275, 0.40821073], np.float32)
        deviation = np.array([0.26862954, 0.26130258, 0.27577711], np.float32)

        def crop(path):
            image = Image.open(path).convert("RGB")
            width, height = image.size
            short, long = min(width, height), max(width, height)
            longer = int(size * long / short)
            new = (size, longer) if width <= height else (longer, size)
            image = image.resize(new, Image.BICUBIC)
            left, top = int(round((new[0] - size) / 2.0)), int(round((new[1] - size) / 2.0))
            return image.crop((left, top, left + size, top + size))

        def floats(image):
            values = np.asarray(image).astype(np.float32)
            values /= 255
            values -= mean
            values /= deviation
            return np.ascontiguousarray(values.transpose(2, 0, 1))

        print("ready", flush=True)
        for line in sys.stdin:
            start = time.perf_counter()
            for path in files:
                image = crop(path)
                if line.strip() == "floats":
                    floats(image)
            print(time.perf_counter() - start, flush=True)
        """;

    private readonly Process _process;

    private PreprocessingPillow(Process process) => _process = process;

    /// <summary>Starts Python, or returns null where none has Pillow and NumPy.</summary>
    public static PreprocessingPillow? TryStart(string[] files, int size)
    {
        foreach (var python in new[] { "python3", "/usr/bin/python3" })
        {
            if (Start(python, size) is not { } process)
            {
                continue;
            }

            process.StandardInput.WriteLine(string.Join('\t', files));
            if (process.StandardOutput.ReadLine() == "ready")
            {
                return new PreprocessingPillow(process);
            }

            process.Dispose();
        }

        return null;
    }

    /// <summary>Seconds for all files.</summary>
    public double Time(bool floats)
    {
        _process.StandardInput.WriteLine(floats ? "floats" : "bytes");
        return double.Parse(
            _process.StandardOutput.ReadLine() ?? throw new InvalidOperationException("Python ended early."),
            CultureInfo.InvariantCulture);
    }

    public void Dispose()
    {
        _process.StandardInput.Close();
        _process.WaitForExit();
        _process.Dispose();
    }

    private static Process? Start(string python, int size)
    {
        var start = new ProcessStartInfo(python)
        {
            ArgumentList = { "-c", Script, size.ToString(CultureInfo.InvariantCulture) },
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        start.Environment["OMP_NUM_THREADS"] = "1";
        try
        {
            return Process.Start(start);
        }
        catch (Win32Exception)
        {
            return null;
        }
    }
}
