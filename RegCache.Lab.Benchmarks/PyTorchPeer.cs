using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using RegCache.Lab.Encoders;

namespace RegCache.Lab.Benchmarks;

/// <summary>
/// A PyTorch program that runs beside ours and times one unit of work whenever it is asked, so that both sides can be
/// measured in turn on the same noisy machine.
/// </summary>
internal sealed class PyTorchPeer : IDisposable
{
    private readonly Process _process;

    private PyTorchPeer(Process process) => _process = process;

    /// <summary>Starts a script of the folder `pytorch`; null, with the reason on the console, where its library or a fast BLAS is missing.</summary>
    /// <param name="script">The script.</param>
    /// <param name="settings">What it is told, as JSON.</param>
    /// <param name="library">What it needs, as the console calls it; the module and the Debian package are named after it.</param>
    public static PyTorchPeer? Start<T>(string script, T settings, string library = "torch")
    {
        var python = Environment.GetEnvironmentVariable("REGCACHE_PYTHON") ?? "/usr/bin/python3";
        if (!Runs(python, $"import {library}"))
        {
            Console.WriteLine($"{python} has no {library}: install python3-{library} (or name a Python in REGCACHE_PYTHON) to compare with it.");
            return null;
        }

        if (library == "torch" && !Runs(python, "import torch; exit(any('/blas/libblas' in line for line in open('/proc/self/maps')))"))
        {
            Console.WriteLine($"{python} multiplies matrices with Debian's reference BLAS, a hundred times slower than need be: install libopenblas0-openmp to compare with it.");
            return null;
        }

        var path = Path.Combine(AppContext.BaseDirectory, "pytorch", script);
        var start = new ProcessStartInfo(python, [path, JsonSerializer.Serialize(settings, JsonSerializerOptions.Web)])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
        };
        return new(Process.Start(start)!);
    }

    /// <summary>Starts a script that runs a vision tower of this size.</summary>
    /// <param name="script">The script.</param>
    /// <param name="config">The tower's size.</param>
    /// <param name="batch">Images at a time.</param>
    /// <param name="threads">Threads.</param>
    /// <param name="type">PyTorch's name of the number type.</param>
    public static PyTorchPeer? StartTower(string script, ClipConfig config, int batch, int threads, string type = "float32") => Start(script, new
    {
        threads,
        batch,
        config.Vision.Layers,
        config.Vision.Width,
        config.Vision.Heads,
        Patch = config.Vision.PatchSize,
        Image = config.Vision.ImageSize.Width,
        Embed = config.EmbedDim,
        Dtype = type,
    });

    /// <summary>Seconds of one unit of work.</summary>
    /// <param name="request">Which work, in the script's words.</param>
    public double Run(string request)
    {
        _process.StandardInput.WriteLine(request);
        var answer = _process.StandardOutput.ReadLine() ?? throw new InvalidOperationException("The PyTorch side ended early.");
        return double.Parse(answer, CultureInfo.InvariantCulture);
    }

    /// <summary>Seconds of one unit of work of a script that does one thing.</summary>
    public double Run() => Run("run");

    public void Dispose()
    {
        _process.StandardInput.Close();
        _process.WaitForExit();
        _process.Dispose();
    }

    private static bool Runs(string python, string program)
    {
        try
        {
            using var probe = Process.Start(new ProcessStartInfo(python, ["-c", program]) { RedirectStandardError = true })!;
            probe.WaitForExit();
            return probe.ExitCode == 0;
        }
        catch (System.ComponentModel.Win32Exception)
        {
            return false;
        }
    }
}
